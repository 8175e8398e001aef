"""The local cluster: workloads as processes on this machine, one supervisor for each."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from shipway.bundle import ClusterInfo, LogLine, Observed, Terms, Workload
from shipway.clock import wall
from shipway.cluster.local.folder import Folder, sweep
from shipway.cluster.local.interpreter import Environments
from shipway.cluster.local.keeper import Keeper, Shop
from shipway.cluster.local.logs import WorkloadLogs
from shipway.cluster.local.plan import minimal_environment
from shipway.cluster.local.supervisor import cgroups
from shipway.cluster.local.supervisor.ports import find_free
from shipway.errors import Conflict, EnvironmentFault, FieldError, InvalidObject, NotFound, Refused
from shipway.ports import Artifacts

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,200}[a-z0-9])?")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 0.8  # seconds between two looks at a log that is followed, longer in silence


class LocalCluster:
    """Implements ``ports.Cluster`` for one home.

    ``root`` holds a folder for each workload, ``sockets`` (short) those of the supervisors, ``secrets`` the
    values as files ``<secret>/<key>``. Of ``inherited`` (the hub's environment) replicas get what
    :func:`minimal_environment` lets through. What ran before is taken up by the first call of any method.
    """

    def __init__(
        self,
        root: Path,
        sockets: Path,
        artifacts: Artifacts,
        environments: Environments,
        secrets: Path,
        home_id: str,
        inherited: Mapping[str, str],
    ) -> None:
        self._root = root
        self._keepers: dict[str, Keeper] = {}
        self._watchers: set[asyncio.Queue[str]] = set()
        self._adopted = False
        self._shop = Shop(
            artifacts=artifacts,
            environments=environments,
            secrets=secrets,
            sockets=sockets / "supervisors",
            home_id=home_id,
            inherited=minimal_environment(inherited),
            find_ports=self._find_ports,
            changed=self._on_change,
            now=wall,
        )

    async def adopt(self) -> None:
        """Take up what the folders say: reconnect, resume what was cut short. Idempotent."""
        if self._adopted:
            return
        self._adopted = True
        self._shop.sockets.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in sweep(self._root):
            workload = folder.read_workload()
            if workload is None:
                folder.remove()  # its apply never returned: it will come again
            else:
                self._keepers[folder.name] = Keeper(workload, folder, self._shop)
        # Only now, when all promised ports are known.
        for keeper in self._keepers.values():
            keeper.start()

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        """See the port. Raises Conflict, InvalidObject (the name), Refused (a job cannot be scaled)."""
        await self.adopt()
        if not _NAME.fullmatch(workload.name):
            problem = f"{workload.name!r} is not a workload's name: use a-z, 0-9, '-' and '.', at most 202 characters"
            raise InvalidObject([FieldError("name", problem)])
        keeper = self._keepers.get(workload.name)
        if keeper is None:
            folder = Folder(self._root / workload.name)
            try:
                folder.write_workload(workload)
            except OSError as error:
                raise EnvironmentFault(f"cannot write {folder.path}: {error.strerror}") from error
            keeper = self._keepers[workload.name] = Keeper(workload, folder, self._shop)
            keeper.start()
            self._on_change(workload.name)
        elif keeper.removing or keeper.digest != workload.hash():
            state = "is being removed" if keeper.removing else "exists with another hash"
            raise Conflict(
                f"workload {workload.name!r} {state}: names are used once", next_step="Apply it under a new name."
            )
        elif keeper.workload.replicas != workload.replicas:
            if workload.mode == "job":
                raise Refused(
                    f"job {workload.name!r} runs with {keeper.workload.replicas} replicas: it cannot be scaled"
                )
            await keeper.scale(workload)

    async def delete(self, name: str) -> None:
        """See the port."""
        await self.adopt()
        keeper = self._keepers.get(name)
        if keeper is not None:
            await keeper.remove()

    async def observe(self, name: str) -> Observed | None:
        """See the port; answered from memory."""
        await self.adopt()
        keeper = self._keepers.get(name)
        return keeper.observe() if keeper else None

    async def list(self) -> tuple[Observed, ...]:
        """See the port."""
        await self.adopt()
        return tuple(self._keepers[name].observe() for name in sorted(self._keepers))

    async def watch(self) -> AsyncIterator[str]:
        """See the port; names that change faster than they are taken come once."""
        await self.adopt()
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            for name in sorted(self._keepers):
                queue.put_nowait(name)
            while True:
                names = dict.fromkeys([await queue.get()])
                while not queue.empty():
                    names[queue.get_nowait()] = None
                for name in names:
                    yield name
        finally:
            self._watchers.discard(queue)

    async def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[LogLine]:
        """See the port. Raises NotFound when there is no such workload."""
        await self.adopt()
        keeper = self._keepers.get(name)
        if keeper is None:
            raise NotFound(f"there is no workload {name!r} on this machine")
        log = WorkloadLogs(keeper.folder.logs)
        try:
            done = keeper.done
            for line in await asyncio.to_thread(log.read, tail):
                yield line
            pause = _FIRST_PAUSE
            while follow and not done:
                await keeper.until_done(pause)
                done = keeper.done  # asked before reading: what is written after its end is not missed
                fresh = log.read()
                for line in fresh:
                    yield line
                pause = _FIRST_PAUSE if fresh else min(_LONGEST_PAUSE, 2 * pause)
        finally:
            log.close()

    async def info(self) -> ClusterInfo:
        """See the port."""
        support = cgroups.detect(own=cgroups.membership())
        return ClusterInfo(
            cpus=float(len(os.sched_getaffinity(0))),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            limits=tuple(sorted(support.folders)),
            notes=tuple(f"{what} limits are not enforced: {why}" for what, why in sorted(support.missing.items())),
        )

    def interpreters(self) -> set[str]:
        """Paths of the interpreters that workloads run with, or are started with again. Any thread may ask."""
        keepers = tuple(self._keepers.values())
        return {str(keeper.interpreter) for keeper in keepers if keeper.interpreter is not None}

    def artifacts(self) -> set[str]:
        """Digests of what workloads that have not ended need on their disk. Any thread may ask."""
        keepers = tuple(self._keepers.values())
        return {one for keeper in keepers if not keeper.done for one in keeper.workload.artifacts}

    async def close(self) -> None:
        """See the port."""
        await asyncio.gather(*(keeper.stop_watching() for keeper in self._keepers.values()))

    def _find_ports(self, count: int) -> Sequence[int]:
        """Ports that no workload of this home has been promised. Raises OSError when there are none left."""
        taken = {port for keeper in self._keepers.values() for port in keeper.ports}
        found: set[int] = set()
        for _ in range(count):
            found.add(find_free(taken | found))
        return sorted(found)

    def _on_change(self, name: str) -> None:
        keeper = self._keepers.get(name)
        if keeper is not None and keeper.gone:
            del self._keepers[name]
        for queue in self._watchers:
            queue.put_nowait(name)
