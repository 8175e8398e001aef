"""From the supervisor's status to what the rest of Shipway sees. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from shipway.bundle import Observed, Replica, Workload
from shipway.cluster.local.folder import Folder

SUPERVISOR_LOST = "SupervisorLost"


def observed(
    workload: Workload,
    digest: str,
    folder: Folder,
    *,
    plan: Mapping[str, Any] | None,
    status: Mapping[str, Any] | None,
    removing: bool,
    tail: str,
) -> Observed:
    """The workload as it is; ``tail`` is the end of the log that :func:`failed_replica` points to."""
    plan = plan or {"notes": (), "environment": ""}
    status = status or empty_status(workload, "Preparing")
    failed = failed_replica(status)
    return Observed(
        name=workload.name,
        hash=digest,
        phase="Stopping" if removing else status["phase"],
        replicas=tuple(_replica(one) for one in status["replicas"]),
        reason=status["reason"],
        message=status["message"],
        tail=tail,
        log=str(folder.log(failed or 0)) if status["started_at"] else "",  # what never ran has none
        output=str(folder.output) if workload.mode == "job" else "",
        environment=plan["environment"],
        lock=tuple(plan.get("lock", ())),  # a plan of an earlier Shipway has none
        notes=(*plan["notes"], *status["notes"]),
        started_at=_time(status["started_at"]),
        finished_at=_time(status["finished_at"]),
    )


def empty_status(workload: Workload, phase: str, reason: str = "", message: str = "") -> dict[str, Any]:
    """A status that no supervisor wrote: none has run yet, or none could."""
    return {
        "name": workload.name,
        "mode": workload.mode,
        "phase": phase,
        "reason": reason,
        "message": message,
        "failed_replica": None,
        "notes": [],
        "started_at": None,
        "finished_at": None,
        "replicas": [],
    }


def is_final(status: Mapping[str, Any]) -> bool:
    """Nothing will happen any more; a server whose supervisor went down with the machine is to run again."""
    ended = status["phase"] in ("Succeeded", "Failed")
    return ended and not (status["mode"] == "server" and status["reason"] == SUPERVISOR_LOST)


def without_supervisor(status: Mapping[str, Any], now: float, spared: Collection[int] = ()) -> dict[str, Any]:
    """The status after the supervisor died and its processes, but for those of ``spared``, were killed: a job failed,
    a server starts anew."""
    job = status["mode"] == "job"
    message = "its supervisor was killed" if job else ""
    replicas = [
        one
        if one["index"] in spared
        else {
            **one,
            "phase": "Exited" if job else "Starting",
            "pid": None,
            "start_time": None,
            "reason": SUPERVISOR_LOST,
        }
        for one in status["replicas"]
    ]
    return {
        **status,
        "phase": "Failed" if job else "Running",
        "reason": SUPERVISOR_LOST if job else "",
        "message": message,
        "finished_at": now if job else None,
        "replicas": replicas,
    }


def failed_replica(status: Mapping[str, Any]) -> int | None:
    """The replica whose log says why: the one that failed the job, or the first that is down."""
    if status["failed_replica"] is not None:
        return int(status["failed_replica"])
    down = [
        one["index"] for one in status["replicas"] if one["phase"] in ("BackOff", "Exited") and one["exit_code"] != 0
    ]
    if down:
        return int(down[0])
    crashed = [one["index"] for one in status["replicas"] if one["restarts"] and one["phase"] != "Ready"]
    return int(crashed[0]) if crashed else None


def _replica(one: Mapping[str, Any]) -> Replica:
    return Replica(
        index=one["index"],
        phase=one["phase"],
        address=_address(one["port"]),
        grpc_address=_address(one.get("grpc_port")),  # an earlier Shipway's supervisor has none
        pid=one["pid"],
        restarts=one["restarts"],
        exit_code=one["exit_code"],
        signal=one["signal"],
        reason=one["reason"],
        message=one["message"],
    )


def _address(port: int | None) -> str:
    return f"127.0.0.1:{port}" if port else ""


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
