"""FakeCluster: a cluster whose processes the test plays. ``shipway.testing.cluster_suite`` is what it passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shipway.bundle import ClusterInfo, LogLine, Observed, Replica, Terms, Workload
from shipway.errors import Conflict, NotFound

_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class _Virtual:
    """One workload of the fake."""

    workload: Workload
    observed: Observed
    lines: list[LogLine] = field(default_factory=list)


class FakeCluster:
    """A cluster without processes. A workload that is applied stays ``Preparing`` until the test plays on.

    ``play``, when given, is called after each ``apply``: it may use the verbs below at once. With
    ``slow_delete`` a deleted workload stays ``Stopping`` until :meth:`finish_delete`. ``applied`` and ``deleted``
    hold every call, oldest first.
    """

    def __init__(
        self,
        play: Callable[[FakeCluster, Workload], None] | None = None,
        *,
        slow_delete: bool = False,
        now: Callable[[], datetime] = lambda: _START,
    ) -> None:
        self.applied: list[Workload] = []
        self.deleted: list[str] = []
        self.closed = False
        self._play = play
        self._slow_delete = slow_delete
        self._now = now
        self._virtual: dict[str, _Virtual] = {}
        self._waiters: set[asyncio.Event] = set()
        self._watchers: set[asyncio.Queue[str]] = set()
        self._ports = iter(range(20001, 30000))

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        """See the port."""
        self.applied.append(workload)
        present = self._virtual.get(workload.name)
        if present is None:
            observed = Observed(workload.name, workload.hash(), "Preparing")
            if workload.mode == "job":
                observed = replace(observed, output=f"/fake/{workload.name}/output")
            self._virtual[workload.name] = _Virtual(workload, observed)
            self._tell(workload.name)
        elif present.observed.phase == "Stopping" or present.observed.hash != workload.hash():
            raise Conflict(f"workload {workload.name!r} exists: names are used once")
        elif present.workload.replicas != workload.replicas:
            self._scale(present, workload)
        else:
            return
        if self._play is not None:
            self._play(self, workload)

    async def delete(self, name: str) -> None:
        """See the port."""
        self.deleted.append(name)
        if name in self._virtual:
            self._change(name, phase="Stopping")
            if not self._slow_delete:
                self.finish_delete(name)

    async def observe(self, name: str) -> Observed | None:
        """See the port."""
        present = self._virtual.get(name)
        return present.observed if present else None

    async def list(self) -> tuple[Observed, ...]:
        """See the port."""
        return tuple(self._virtual[name].observed for name in sorted(self._virtual))

    async def watch(self) -> AsyncIterator[str]:
        """See the port."""
        told: asyncio.Queue[str] = asyncio.Queue()
        self._watchers.add(told)
        try:
            for name in sorted(self._virtual):
                told.put_nowait(name)
            while True:
                names = {await told.get()}
                while not told.empty():
                    names.add(told.get_nowait())
                for name in sorted(names):
                    yield name
        finally:
            self._watchers.discard(told)

    async def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[LogLine]:
        """See the port."""
        if name not in self._virtual:
            raise NotFound(f"there is no workload {name!r}")
        virtual = self._virtual[name]
        at = 0 if tail is None else max(0, len(virtual.lines) - tail)
        while True:
            while at < len(virtual.lines):
                at += 1
                yield virtual.lines[at - 1]
            ended = virtual.observed.phase in ("Succeeded", "Failed") or self._virtual.get(name) is not virtual
            if not follow or ended:
                return
            await self._news()

    async def info(self) -> ClusterInfo:
        """See the port."""
        return ClusterInfo(cpus=4.0, memory=8 * 2**30, limits=("cpu", "memory"))

    async def close(self) -> None:
        """See the port."""
        self.closed = True

    def workload(self, name: str) -> Workload:
        """As it was applied last."""
        return self._virtual[name].workload

    def fail_preparing(self, name: str, reason: str = "EnvironmentFailed", message: str = "", tail: str = "") -> None:
        """Its environment or its files could not be made."""
        self._change(name, phase="Failed", reason=reason, message=message, tail=tail, finished_at=self._now())

    def start(self, name: str) -> None:
        """It is prepared; its processes start."""
        virtual = self._virtual[name]
        replicas = tuple(self._new_replica(virtual.workload, index) for index in range(virtual.workload.replicas))
        python = {"environment": "fake Python", "lock": ("fake==1.0",)}
        self._change(name, phase="Running", replicas=replicas, started_at=self._now(), **python)

    def set_ready(self, name: str, *indexes: int) -> None:
        """Replicas (all by default) pass their probes; starts the workload when it has not started."""
        if self._virtual[name].observed.phase == "Preparing":
            self.start(name)
        for one in self._virtual[name].observed.replicas:
            if not indexes or one.index in indexes:
                self.set_replica(name, replace(one, phase="Ready", reason="", message=""))

    def kill(self, name: str, index: int = 0, *, signal: int = 9) -> None:
        """A replica ends by a signal and is started again."""
        one = self._virtual[name].observed.replicas[index]
        ended = replace(one, phase="Starting", restarts=one.restarts + 1, exit_code=None, signal=signal, reason="Error")
        self.set_replica(name, ended)

    def replica(self, name: str, index: int = 0) -> Replica:
        """A replica as it is."""
        return self._virtual[name].observed.replicas[index]

    def set_replica(self, name: str, changed: Replica) -> None:
        """Any other state of a replica: back-off, OOMKilled, a failed probe."""
        present = self._virtual[name].observed.replicas
        self._change(name, replicas=tuple(changed if one.index == changed.index else one for one in present))

    def rehash(self, name: str, hash: str) -> None:
        """As if another version of Shipway had started it."""
        self._change(name, hash=hash)

    def finish(
        self,
        name: str,
        exit_code: int = 0,
        *,
        output: str | None = None,
        tail: str = "",
        reason: str | None = None,
        message: str = "",
    ) -> None:
        """A job ends. ``output`` is the folder that its observation names."""
        if self._virtual[name].observed.phase == "Preparing":
            self.start(name)
        observed = self._virtual[name].observed
        why = reason if reason is not None else ("Error" if exit_code else "")
        self._change(
            name,
            phase="Failed" if exit_code or reason else "Succeeded",
            replicas=tuple(
                replace(one, phase="Exited", pid=None, exit_code=exit_code, reason=why or "Completed")
                for one in observed.replicas
            ),
            reason=why,
            message=message or (f"exited with code {exit_code}" if exit_code else ""),
            tail=tail,
            output=observed.output if output is None else output,
            finished_at=self._now(),
        )

    def write(self, name: str, text: str, *, replica: int = 0, stream: str = "stdout") -> None:
        """A replica writes a line."""
        self._virtual[name].lines.append(LogLine(self._now(), replica, stream, text))
        self._tell(name)

    def finish_delete(self, name: str) -> None:
        """Its last process has ended."""
        del self._virtual[name]
        self._tell(name)

    def _scale(self, virtual: _Virtual, workload: Workload) -> None:
        virtual.workload = workload
        kept = virtual.observed.replicas[: workload.replicas]
        if virtual.observed.phase != "Preparing":
            added = tuple(self._new_replica(workload, index) for index in range(len(kept), workload.replicas))
            self._change(workload.name, replicas=kept + added)

    def _new_replica(self, workload: Workload, index: int) -> Replica:
        port = next(self._ports)
        address = f"127.0.0.1:{port}" if workload.serves else ""
        grpc = f"127.0.0.1:{next(self._ports)}" if workload.grpc else ""
        return Replica(index, "Starting", address, grpc, pid=port)

    def _change(self, name: str, **changes: object) -> None:
        virtual = self._virtual[name]
        virtual.observed = replace(virtual.observed, **changes)  # type: ignore[arg-type]
        self._tell(name)

    def _tell(self, name: str) -> None:
        for told in self._watchers:
            told.put_nowait(name)
        for waiter in self._waiters:
            waiter.set()
        self._waiters.clear()

    async def _news(self) -> None:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        await waiter.wait()
