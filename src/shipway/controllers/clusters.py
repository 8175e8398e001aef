"""The places where workloads run, by name: this machine, and those that Cluster objects declare."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from shipway import kinds
from shipway.controllers.updates import all_of, find
from shipway.errors import NotFound, Refused, ShipwayError
from shipway.kinds import LOCAL, ClusterSpec, ObjectMeta
from shipway.ports import Cluster, RemoteCluster, Store

Make = Callable[[kinds.Cluster], RemoteCluster]
_AGAIN = 5.0  # seconds until a place that could not be watched is asked again
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Member:
    spec: ClusterSpec
    cluster: RemoteCluster
    watch: asyncio.Task[None]


class Clusters:
    """``local`` is this machine. Another place is reached when it is first asked for, and again when its declaration
    has changed; one that is away keeps nobody from the others."""

    def __init__(self, local: Cluster, store: Store, make: Make) -> None:
        self.local = local
        self._store = store
        self._make = make
        self._members: dict[str, _Member] = {}
        self._changed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, name: str) -> Cluster:
        """The place of that name. Raises NotFound, and what reading its credentials raises."""
        return self.local if name == LOCAL else self.remote(name)

    def remote(self, name: str) -> RemoteCluster:
        """The same of one beyond this machine. Raises Refused for this machine."""
        if name == LOCAL:
            raise Refused("the cluster 'local' is this machine: there is nothing between it and this hub")
        declared = find(self._store, kinds.Cluster, name)
        if declared is None:
            known = ", ".join(sorted(one.name for one in all_of(self._store, kinds.Cluster)))
            raise NotFound(
                f"there is no cluster {name!r}: there are {known}", next_step="see shipway cluster add --help"
            )
        member = self._members.get(name)
        if member is None or member.spec != declared.spec:
            self.forget(name)
            cluster = self._make(declared)
            watch = asyncio.create_task(self._watch(name, cluster), name=f"watch cluster {name}")
            self._members[name] = member = _Member(declared.spec, cluster, watch)
        return member.cluster

    def known(self, names: Iterable[str]) -> list[Cluster]:
        """Those of the names that there (still) are, each once."""
        found = []
        for name in dict.fromkeys(names):
            with contextlib.suppress(NotFound):
                found.append(self.of(name))
        return found

    def unlisted(self, name: str, spec: ClusterSpec) -> RemoteCluster:
        """One that was not added, for a look at it; the caller closes it."""
        return self._make(kinds.Cluster(metadata=ObjectMeta(name=name), spec=spec))

    def forget(self, name: str) -> None:
        """Let go of a place whose declaration has changed or is gone; its workloads go on."""
        member = self._members.pop(name, None)
        if member is not None:
            closing = asyncio.create_task(_closed(member))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def watch(self) -> AsyncIterator[tuple[str, str]]:
        """``(cluster, workload)`` whose observation changed, in whichever place; endless."""
        local = asyncio.create_task(self._watch(LOCAL, self.local), name="watch cluster local")
        try:
            while True:
                yield await self._changed.get()
        finally:
            local.cancel()

    async def close(self) -> None:
        """Let go of all but this machine."""
        for name in list(self._members):
            self.forget(name)
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _watch(self, name: str, cluster: Cluster) -> None:
        while True:
            try:
                async for workload in cluster.watch():
                    self._changed.put_nowait((name, workload))
            except ShipwayError as error:
                log.warning("cluster %s is not watched: %s", name, error)
            await asyncio.sleep(_AGAIN)


async def _closed(member: _Member) -> None:
    member.watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await member.watch
    await member.cluster.close()
