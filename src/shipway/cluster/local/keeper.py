"""One workload from the hub's side: prepare it, start its supervisor, follow its status, remove it.

Level-triggered: everything that is needed to go on lies in the folder, so a hub may die between any two lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from shipway.bundle import Observed, Workload
from shipway.cluster.local import logs, supervision
from shipway.cluster.local.folder import Folder
from shipway.cluster.local.interpreter import Environments
from shipway.cluster.local.observation import (
    empty_status,
    failed_replica,
    is_final,
    observed,
    without_supervisor,
)
from shipway.cluster.local.plan import make_plan
from shipway.cluster.local.prepare import PreparingFailed, find_interpreter, prepare_files
from shipway.cluster.local.threads import abandonable, to_the_end
from shipway.errors import DependencyFailed
from shipway.ports import Artifacts

_LONGEST_STATUS = 64 * 2**20  # bytes of a line
_UNREACHABLE = 20.0  # seconds that a living supervisor may be silent before it is given up
_STARTS = 3
_LONGEST_WAIT = 30.0  # seconds before a keeper tries again what failed


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shop:
    """What all workloads of a local cluster share."""

    artifacts: Artifacts
    environments: Environments
    secrets: Path
    sockets: Path
    home_id: str
    inherited: Mapping[str, str]
    find_ports: Callable[[int], Sequence[int]]
    changed: Callable[[str], None]
    now: Callable[[], datetime]

    def socket(self, name: str) -> Path:
        """Short whatever the name: sun_path holds 108 bytes."""
        return self.sockets / f"{sha256(f'{self.home_id}/{name}'.encode()).hexdigest()[:20]}.sock"

    @property
    def cgroup(self) -> str:
        return f"shipway-{sha256(self.home_id.encode()).hexdigest()[:12]}"


class Keeper:
    """Owns one workload's folder; ``workload`` is what is wanted now."""

    def __init__(self, workload: Workload, folder: Folder, shop: Shop) -> None:
        self.workload = workload
        self.digest = workload.hash()
        self.removing = folder.deleted
        self.gone = False
        self.folder = folder
        self._shop = shop
        self._plan = folder.read(folder.plan_file)
        self._status = folder.read(folder.status_file)
        self._tail = ""
        self._tail_of: object = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._end = asyncio.Event()
        self._observed = self._look()

    @property
    def done(self) -> bool:
        """Gone, or a job at its end: no further log line will come."""
        return self.gone or (self._status is not None and is_final(self._status))

    async def until_done(self, seconds: float) -> None:
        """Wait so long, or until it is done: who follows a job's log hears of its end at once."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)

    @property
    def ports(self) -> set[int]:
        """Ports that are promised to its replicas."""
        planned = self._plan["ports"] if self._plan else []
        replicas = self._status["replicas"] if self._status else []
        used = [port for one in replicas for port in (one["port"], one.get("grpc_port"))]
        return {port for port in [*planned, *used] if port}

    @property
    def interpreter(self) -> Path | None:
        """The Python that its replicas run with, and will when they start again; None when none will."""
        if self._plan is None or self.done:
            return None
        return Path(self._plan["inherited"].get("PATH", "").partition(os.pathsep)[0], "python")

    def observe(self) -> Observed:
        """As it is now."""
        return self._observed

    def start(self) -> None:
        """Begin, or go on, in the background."""
        self._task = asyncio.create_task(self._guard(), name=f"workload {self.workload.name}")

    async def stop_watching(self) -> None:
        """Let go; the workload goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def scale(self, workload: Workload) -> None:
        """Another number of replicas."""
        # In memory last: an apply after one that the disk refused, or after our death, must still see a difference.
        if self._plan is not None:
            missing = workload.replicas - len(self._plan["ports"]) if workload.serves else 0
            ports = [*self._plan["ports"], *self._shop.find_ports(max(0, missing))]
            self._write_plan({**self._plan, "replicas": workload.replicas, "ports": ports})
        self.folder.write_workload(workload)
        self.workload = workload
        self._say_scale()

    async def remove(self) -> None:
        """Begin to stop it and to remove its files."""
        if self.removing:
            return
        self.folder.mark_deleted()  # first: when the disk refuses, the next delete must try again
        self.removing = True
        self._refresh()
        await self.stop_watching()
        self.start()

    async def _guard(self) -> None:
        """No workload is forgotten because of a full disk or of a bug of ours."""
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await (self._remove() if self.removing else self._keep())
                return
            except Exception as error:
                log.exception("workload %s", self.workload.name)
                if not self.removing and not isinstance(error, OSError):
                    self._see(empty_status(self.workload, "Failed", "InternalError", repr(error)))
                    return
            failures = 0 if time.monotonic() - began > _LONGEST_WAIT else failures + 1
            await asyncio.sleep(min(_LONGEST_WAIT, 0.5 * 2 ** min(failures, 6)))

    async def _keep(self) -> None:
        if self._plan is None and self._status is None:
            try:
                await self._prepare()
            except PreparingFailed as problem:
                self._fail(problem.reason, problem.message, problem.tail)
                return
        failures = 0
        while not (self._status is not None and is_final(self._status)):
            if await self._reach_supervisor():
                continue
            if self._status is not None:
                spared = supervision.orphans(self._status, self._plan["replicas"]) if self._plan else set()
                await to_the_end(supervision.bury, self.folder, self._status, self._shop.cgroup, spared)
                self._see(without_supervisor(self._status, self._shop.now().timestamp(), spared))
                self.folder.write(self.folder.status_file, self._status)
                if is_final(self._status):
                    return
            try:
                await to_the_end(supervision.start, self.folder, self._shop.inherited)
            except DependencyFailed as error:
                failures += 1
                if failures == _STARTS:
                    await to_the_end(supervision.bury, self.folder, self._status, self._shop.cgroup)
                    self._fail("SupervisorFailed", error.message)
                    return
                await asyncio.sleep(failures)

    async def _prepare(self) -> None:
        self._shop.changed(self.workload.name)
        interpreter = await abandonable(find_interpreter, self.workload, self._shop.environments)
        path = self._shop.inherited.get("PATH", "")
        prepared = await to_the_end(
            prepare_files,
            self.workload,
            self.folder,
            interpreter,
            self._shop.artifacts,
            self._shop.secrets,
            path,
        )
        self._write_plan(
            make_plan(
                self.workload,
                prepared,
                self.folder,
                socket=self._shop.socket(self.workload.name),
                cgroup=self._shop.cgroup,
                ports=self._shop.find_ports(self.workload.replicas if self.workload.serves else 0),
                inherited=self._shop.inherited,
            )
        )

    async def _reach_supervisor(self) -> bool:
        """Follow the supervisor while there is one; False when there is none (any more)."""
        deadline = time.monotonic() + _UNREACHABLE
        while supervision.alive(self.folder):
            if await self._follow():
                deadline = time.monotonic() + _UNREACHABLE
            self._read_status()
            if self._status is not None and is_final(self._status):
                return True
            if time.monotonic() > deadline:
                supervision.kill(self.folder)
            await asyncio.sleep(0.02)
        self._read_status()
        return self._status is not None and is_final(self._status)

    async def _follow(self) -> bool:
        """Take in what the supervisor pushes until it hangs up; False when it does not answer."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(
                self._shop.socket(self.workload.name), limit=_LONGEST_STATUS
            )
        except OSError:
            return False
        try:
            self._say({"op": "watch"})
            self._say_scale()  # a hub may have died between writing the plan and saying so
            if self.removing:
                self._say({"op": "stop"})
            async for line in reader:
                message = json.loads(line)
                if "status" in message:
                    self._see(message["status"])
        except (ConnectionError, ValueError):
            return False
        finally:
            self._writer.close()
            self._writer = None
        return True

    async def _remove(self) -> None:
        await to_the_end(self.folder.mark_deleted)
        deadline = time.monotonic() + self.workload.grace_period + _UNREACHABLE
        while supervision.alive(self.folder):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._follow(), max(0.0, deadline - time.monotonic()))
            if time.monotonic() > deadline:
                supervision.kill(self.folder)
            await asyncio.sleep(0.02)
        status = self.folder.read(self.folder.status_file)
        await to_the_end(supervision.bury, self.folder, status, self._shop.cgroup)
        await to_the_end(self.folder.remove)
        self._shop.socket(self.workload.name).unlink(missing_ok=True)
        self.gone = True
        self._end.set()
        self._shop.changed(self.workload.name)

    def _say(self, request: Mapping[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(request).encode() + b"\n")

    def _say_scale(self) -> None:
        if self._plan is not None and self.workload.mode == "server" and not self.removing:
            self._say({"op": "scale", "replicas": self._plan["replicas"], "ports": self._plan["ports"]})

    def _write_plan(self, plan: dict[str, Any]) -> None:
        self.folder.write(self.folder.plan_file, plan)
        self._plan = plan

    def _read_status(self) -> None:
        status = self.folder.read(self.folder.status_file)
        if status is not None:
            self._see(status)

    def _fail(self, reason: str, message: str, tail: str = "") -> None:
        failed = empty_status(self.workload, "Failed", reason, message)
        status = {**failed, "tail": tail, "finished_at": self._shop.now().timestamp()}
        self.folder.write(self.folder.status_file, status)
        self._see(status)

    def _see(self, status: dict[str, Any]) -> None:
        self._status = status
        if self.done:
            self._end.set()
        else:
            self._end.clear()
        self._refresh()

    def _refresh(self) -> None:
        now = self._look()
        if now != self._observed:
            self._observed = now
            self._shop.changed(self.workload.name)

    def _look(self) -> Observed:
        if self._status is not None:
            self._update_tail(self._status)
        return observed(
            self.workload,
            self.digest,
            self.folder,
            plan=self._plan,
            status=self._status,
            removing=self.removing,
            tail=self._tail,
        )

    def _update_tail(self, status: Mapping[str, Any]) -> None:
        """Read the tail once for each end of a replica, not at each push."""
        if "tail" in status:  # what made the environment said it: no replica has run
            self._tail = status["tail"]
            return
        failed = failed_replica(status)
        job_failed = status["mode"] == "job" and status["phase"] == "Failed" and status["replicas"]
        shown = failed if failed is not None else 0 if job_failed else None
        moment = (shown, status["phase"], [(one["restarts"], one["phase"]) for one in status["replicas"]])
        if shown is not None and moment != self._tail_of:
            self._tail, self._tail_of = logs.tail_text(self.folder.log(shown)), moment
        elif shown is None:
            self._tail = ""
