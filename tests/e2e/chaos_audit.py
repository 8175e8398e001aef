"""What must hold after chaos: the world is what was declared, its history has no gap, and nothing is left over."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shipway.cluster.local.supervisor import identity
from shipway.errors import ShipwayError
from tests.e2e.faults import entries, hub_of, versions_of
from tests.e2e.home import Home, eventually, post
from tests.e2e.slowpoke import sdist

_SETTLES = 60.0  # seconds
_BUILD_SECONDS = 2.0
_API = "/apis/shipway.dev/v1alpha1"


@dataclass(slots=True)
class Declared:
    """What the projects of a run declare."""

    slope: int = 2
    editions: dict[str, int] = field(default_factory=lambda: {"own": 1, "built": 1, "side": 1})
    replicas: dict[str, int] = field(default_factory=lambda: {"own": 2, "built": 2, "side": 2, "line": 2})
    side: bool = True

    def services(self) -> list[str]:
        return ["built", "line", "own", *(["side"] if self.side else [])]


def slope_of(answer: Any) -> float:
    """y of an answer of a line's model to x = 1."""
    while isinstance(answer, dict | list) and answer:
        answer = answer["outputs"] if isinstance(answer, dict) and "outputs" in answer else _first(answer)
    return float(answer)


def _first(document: dict[str, Any] | list[Any]) -> Any:
    return next(iter(document.values())) if isinstance(document, dict) else document[0]


@contextmanager
def wheelhouse(versions: int) -> Iterator[Path]:
    """A folder with so many versions of slowpoke, each of which takes a moment to build."""
    with tempfile.TemporaryDirectory(prefix="shw-links-", dir="/tmp") as folder:
        for number in range(1, versions + 1):
            sdist(Path(folder), f"time.sleep({_BUILD_SECONDS})", f"{number}.0")
        yield Path(folder)


def statuses(home: Home) -> dict[str, dict[str, Any]]:
    """What each supervisor wrote down last, by workload."""
    found = {}
    for folder in (home.path / "workloads").glob("[a-z]*"):
        with suppress(OSError, ValueError):
            found[folder.name] = json.loads((folder / "status.json").read_text())
    return found


def victims(home: Home, role: str) -> list[tuple[str, int]]:
    """Name and pid of the processes that a kill of that role may hit, in an order that does not hang on pids.

    A replica only while its service keeps another one that is ready: no gateway serves with none.
    """
    if role in ("job", "replica"):
        mode = "job" if role == "job" else "server"
        return [
            (f"{name}/{one['index']}", one["pid"])
            for name, status in sorted(statuses(home).items())
            if status["mode"] == mode and name != "gateway" and _may_lose_one(status)
            for one in status["replicas"]
            if identity.lives(one["pid"], one["start_time"])
        ]
    if role == "uv":
        return [("", one.pid) for one in home.processes("replica") if Path(one.command.split()[0]).name == "uv"]
    return sorted(
        (one.command.rpartition("/")[2] if role == "supervisor" else "", one.pid) for one in home.processes(role)
    )


def _may_lose_one(status: dict[str, Any]) -> bool:
    alive = [
        one for one in status["replicas"] if one["phase"] == "Ready" and identity.lives(one["pid"], one["start_time"])
    ]
    return status["mode"] == "job" or len(alive) > 1


def settled(home: Home, declared: Declared) -> list[str]:
    """Wait until the world is what was declared, and nothing else runs; what is wrong if it does not become so."""
    home.ok("hub", "start")
    checks: list[Callable[[], str]] = [
        *(lambda name=name: _service(home, name, declared) for name in declared.services()),
        lambda: _job(home, declared),
        lambda: _gone(home, declared),
        lambda: _processes(home, declared),
    ]
    wrong: list[str] = []

    def look() -> bool:
        wrong[:] = [problem for check in checks if (problem := _problem(check))]
        return not wrong

    with suppress(AssertionError):
        eventually(look, seconds=_SETTLES)
    return list(wrong)


def _problem(check: Callable[[], str]) -> str:
    try:
        return check()
    except (ShipwayError, OSError, ValueError, LookupError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


def _service(home: Home, name: str, declared: Declared) -> str:
    status = hub_of(home).get(f"{_API}/modelservices/{name}")["status"]
    route = hub_of(home).get(f"{_API}/routes/{name}")["status"]
    wanted = declared.replicas[name]
    if status["readyRevision"] != status["latestRevision"] or status["readyReplicas"] != wanted:
        seen = (status["readyReplicas"], status["readyRevision"], status["latestRevision"])
        return f"{name}: {wanted} replicas are declared; ready, serving and latest are {seen}"
    live = [one["revision"] for one in route["liveBackends"]]
    if live != [status["readyRevision"]]:
        return f"{name}: the gateway serves {live}, {status['readyRevision']} is ready"
    if name == "line":
        answer = post(f"{status['url']}/predict", {"input": [[1.0]]})
        return "" if answer.status == 200 and slope_of(answer.json()) == declared.slope else f"line: {answer}"
    answer = post(status["url"], {})
    right = answer.status == 200 and answer.json()["edition"] == declared.editions[name]
    return "" if right else f"{name}: {answer}, edition {declared.editions[name]} is declared"


def _job(home: Home, declared: Declared) -> str:
    job = hub_of(home).get(f"{_API}/modeljobs/line")
    model = hub_of(home).get(f"{_API}/models/line")["status"]
    if job["status"]["phase"] != "Succeeded" or job["spec"]["params"]["slope"] != declared.slope:
        return f"the job is {job['status']['phase']}"
    champion = model["aliases"].get("champion")
    return "" if job["status"]["version"] == f"line:{champion}" else f"{job['status']['version']}, champion {champion}"


def _gone(home: Home, declared: Declared) -> str:
    names = [one["metadata"]["name"] for one in hub_of(home).get(f"{_API}/modelservices")["items"]]
    return "" if sorted(names) == declared.services() else f"services {names}, declared {declared.services()}"


def _processes(home: Home, declared: Declared) -> str:
    """Every process and every port belongs to what is declared."""
    hub = hub_of(home)
    ready = [hub.get(f"{_API}/modelservices/{name}")["status"]["readyRevision"] for name in declared.services()]
    seen = statuses(home)
    supervisors = sorted(name for name, _ in victims(home, "supervisor"))
    if supervisors != sorted([*ready, "gateway"]):
        return f"supervisors of {supervisors}, revisions {ready}"
    replicas = [one for name in ready for one in seen[name]["replicas"]]
    others = sorted(one.pid for one in home.processes("replica"))
    if others != sorted(one["pid"] for one in replicas):
        return f"processes {others}, replicas {[one['pid'] for one in replicas]}"
    ports = sorted({port for _, port in home.listening()})
    wanted = sorted([*(one["port"] for one in replicas), int((home.path / "gateway" / "port").read_text())])
    if ports != wanted:
        return f"ports {ports}, promised {wanted}"
    few = {role: len(home.processes(role)) for role in ("hub", "envoy")}
    return "" if set(few.values()) == {1} else f"{few}"


def versions(home: Home) -> int:
    """How many versions of the model there are."""
    return len(versions_of(home, "line"))


def history(home: Home, declared: Declared) -> list[str]:
    """Versions without gap or twin, blobs that are what their names say, ledgers that are chains to what is now."""
    wrong = []
    listed = versions_of(home, "line")
    details = [hub_of(home).get(f"/v1/models/line/versions/{one['number']}")["lineage"] for one in listed]
    slopes = [one["params"]["slope"] for one in details]
    if [one["number"] for one in listed] != list(range(1, len(listed) + 1)):
        wrong.append(f"versions {[one['number'] for one in listed]}")
    if len({one["run"] for one in listed}) != len(listed) or [one["run"] for one in details] != [
        one["run"] for one in listed
    ]:
        wrong.append(f"runs {[one['run'] for one in listed]}")
    if slopes != list(range(2, declared.slope + 1)):
        wrong.append(f"versions of the slopes {slopes}, declared were 2 to {declared.slope}")
    for blob in (home.path / "oci" / "blobs" / "sha256").iterdir():
        if hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name:
            wrong.append(f"blob {blob.name} is damaged")
    champion = hub_of(home).get(f"{_API}/models/line")["status"]["aliases"]["champion"]
    wrong += _broken_chain("Model/line", entries(home, "Model/line", "ledger"), champion)
    for name in ("built", "line", "own", "side"):
        last = ""
        if name in declared.services():
            last = hub_of(home).get(f"{_API}/modelservices/{name}")["status"]["readyRevision"]
        wrong += _broken_chain(name, entries(home, f"ModelService/{name}", "ledger"), last)
    return wrong


def _broken_chain(subject: str, lines: list[dict[str, Any]], last: object) -> list[str]:
    """Each line begins where the one before ended; the last one ends where we are."""
    at: object = None
    for number, line in enumerate(lines):
        if line["reason"] == "Deleted":
            at = None
            continue
        if (line["data"]["from"] or None) != at:
            return [f"ledger of {subject}: line {number} is from {line['data']['from']}, the one before ended at {at}"]
        at = line["data"]["to"] or None
    return [] if at == (last or None) else [f"ledger of {subject} ends at {at}, live is {last}"]


def ended(home: Home) -> list[str]:
    """``down --all`` and ``hub stop`` leave nothing: no process, port, socket or folder of a workload."""
    home.ok("down", "--all")
    home.ok("hub", "stop")
    left = {
        "processes": [one.command for one in home.processes()],
        "sockets": [str(one) for one in home.path.rglob("*") if one.is_socket()],
        "workloads": [one.name for one in (home.path / "workloads").iterdir()],
        "halves": [one.name for one in (home.path / "oci").rglob("*") if one.is_file() and "blobs" not in one.parts],
    }
    left["halves"] = [
        one for one in left["halves"] if one not in ("index.json", "oci-layout", "lock", ".lock", "index.lock")
    ]
    return [f"{what} are left: {which}" for what, which in left.items() if which]
