"""A connection to one cluster, with everything that lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import read
from shipway.cluster.kubernetes.api.forward import Forwarder
from shipway.cluster.kubernetes.apply.lease import Claim, Ownership
from shipway.cluster.kubernetes.check.features import Features, look
from shipway.cluster.kubernetes.check.nodes import taints
from shipway.cluster.kubernetes.errands import Errands
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.world import World
from shipway.errors import ShipwayError, WorkloadFailed
from shipway.kinds import ClusterSpec
from shipway.ports import Clock, Supplies

_REST = 5.0  # seconds in which a cluster that did not answer is not asked again
_OVER = ("Complete", "Failed")


@dataclass(slots=True)
class Session:
    """What is kept of a cluster while it is used."""

    api: Api
    features: Features
    world: World
    errands: Errands
    forwarders: dict[str, tuple[Forwarder, int]] = field(default_factory=dict)

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one, _ in self.forwarders.values()))
        await self.errands.close()
        await self.world.close()


class Connection:
    """Connects when it is first needed; a cluster that is away costs callers one slow error, then quick ones."""

    def __init__(
        self, spec: ClusterSpec, owner: str, inherited: Mapping[str, str], supplies: Supplies, clock: Clock
    ) -> None:
        self._spec = spec
        self._owner = owner
        self._inherited = inherited
        self._supplies = supplies
        self._clock = clock
        self._lock = asyncio.Lock()
        self._claiming = asyncio.Lock()
        self._api: Api | None = None
        self._session: Session | None = None
        self._claim: Claim | None = None
        self._failed: tuple[float, ShipwayError] | None = None

    async def api(self) -> Api:
        """Nothing is asked of the network. Raises what reading credentials raises."""
        if self._api is None:
            # Small files: a thread would only let two callers connect at once.
            self._api = Api.connect(read(self._spec.context, self._spec.kubeconfig, self._inherited))
        return self._api

    async def session(self) -> Session:
        """Raises what reading credentials and the first requests raise."""
        if self._session is None:
            async with self._lock:
                if self._session is None:
                    self._session = await self._connected()
        return self._session

    async def ownership(self) -> Ownership:
        return Ownership(await self.api(), self._spec.namespace, self._owner, self._clock)

    async def claimed(self, *, take_over: bool = False) -> Claim:
        """Own the namespace: claimed once, then looked after. Raises Conflict with the other's name."""
        ownership = await self.ownership()
        async with self._claiming:  # the first services of a hub come all at once
            if self._claim is None or take_over:
                self._claim = await ownership.claim(take_over)
                return self._claim
        await ownership.verify()
        return self._claim

    @property
    def predecessors(self) -> tuple[str, ...]:
        """Hubs whose objects are ours, as far as the last claim said."""
        return self._claim.predecessors if self._claim is not None else ()

    async def close(self) -> None:
        async with self._lock:
            session, self._session = self._session, None
            if session is not None:
                await session.close()
            api, self._api = self._api, None
            if api is not None:
                await api.close()

    async def _connected(self) -> Session:
        loop = asyncio.get_running_loop()
        if self._failed is not None and loop.time() - self._failed[0] < _REST:
            raise self._failed[1]
        try:
            return await self._connect()
        except ShipwayError as error:
            self._failed = loop.time(), error
            raise

    async def _connect(self) -> Session:
        api, namespace = await self.api(), self._spec.namespace
        features = await look(api, namespace)
        gpus = features.gpus if features.nodes_known else None
        world = World(api, namespace, self._owner, self._clock, routes=features.gateway_api, allocatable=gpus)
        outputs, look_at_nodes = outputs_of(self._spec), partial(taints, api)
        errands = Errands(api, namespace, world, self._supplies, outputs, look_at_nodes, self._clock)
        await world.start()
        world.subscribe(errands.consider)
        for name in world.names():
            errands.consider(name)
        return Session(api, features, world, errands)


def outputs_of(spec: ClusterSpec) -> str:
    """The repository to which results of jobs are pushed."""
    return f"{spec.registry}/outputs"


class Follows:
    """A workload as the follower of its log sees it (``logs.View``)."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._news = asyncio.Event()
        self._unsubscribe = world.subscribe(self._on_change)

    def pods(self) -> Sequence[tuple[int, Manifest]]:
        seen = self._world.seen(self._name)
        return [(seen.index_of(pod), pod) for pod in seen.pods] if seen is not None else []

    def is_over(self) -> bool:
        main = self._world.main(self._name)
        if main is None:
            return not self._world.pods(self._name)
        return main.get("kind") == "Job" and any(fields.holds(main, one) for one in _OVER)

    async def changed(self) -> None:
        await self._news.wait()
        self._news.clear()

    def close(self) -> None:
        self._unsubscribe()

    def _on_change(self, name: str) -> None:
        if name == self._name:
            self._news.set()


async def forwarded(session: Session, namespace: str, name: str) -> int:
    """A port of 127.0.0.1 that leads to a ready replica, whichever there is when somebody connects."""
    known = session.forwarders.get(name)
    if known is not None:
        return known[1]

    async def target() -> tuple[str, int]:
        observed = session.world.observe(name)
        ready = [one for one in observed.ready if one.address] if observed is not None else []
        if not ready:
            told = f": {observed.message}" if observed is not None and observed.message else ""
            raise WorkloadFailed(f"no replica of {name!r} is ready{told}", next_step=f"shipway logs {name}")
        return ready[0].name, int(ready[0].address.rpartition(":")[2])

    await target()
    forwarder = Forwarder(session.api, namespace, target)
    port = await forwarder.start()
    other = session.forwarders.setdefault(name, (forwarder, port))
    if other[0] is not forwarder:  # two asked at once
        await forwarder.close()
    return other[1]
