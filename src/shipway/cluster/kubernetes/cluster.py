"""KubernetesCluster: workloads as objects of one namespace of a Kubernetes cluster.

What it says of them comes from watch caches, so it answers while the API server is away; what it does is server-side
apply, which may be repeated at any time. Nothing is connected before it is first needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from shipway.bundle import Bundle, ClusterInfo, LogLine, Observed, Terms, Workload
from shipway.cluster.kubernetes.apply.applier import Applier
from shipway.cluster.kubernetes.apply.decide import key_of
from shipway.cluster.kubernetes.apply.preflight import preflight
from shipway.cluster.kubernetes.check.features import Features, look
from shipway.cluster.kubernetes.check.findings import check
from shipway.cluster.kubernetes.logs import Follower
from shipway.cluster.kubernetes.names import CONTENTS, HASH, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.pod import contents_digest
from shipway.cluster.kubernetes.session import Connection, Follows, Session, forwarded, outputs_of
from shipway.cluster.kubernetes.watch import fields
from shipway.errors import Conflict, NotFound, UserError
from shipway.kinds import ClusterSpec
from shipway.ports import Clock, Supplies

Secrets = Callable[[str], Mapping[str, str]]

_MAINS = frozenset({"Deployment", "StatefulSet", "Job", "CronJob"})
_TOGETHER = 0.05  # seconds in which changes of a workload are one


class KubernetesCluster:
    """Implements ``ports.RemoteCluster`` for one namespace.

    ``name`` is what users call it, ``owner`` the hub's id, ``inherited`` the user's environment (kubeconfig, exec
    plugins), ``secrets`` gives the keys and values of a secret by its name.
    """

    def __init__(
        self,
        spec: ClusterSpec,
        name: str,
        owner: str,
        inherited: Mapping[str, str],
        supplies: Supplies,
        secrets: Secrets,
        clock: Clock,
    ) -> None:
        self._spec = spec
        self._name = name
        self._owner = owner
        self._supplies = supplies
        self._secrets = secrets
        self._connection = Connection(spec, owner, inherited, supplies, clock)
        self._clock = clock

    async def start(self) -> None:
        """Connect now. Raises what any first request raises."""
        await self._connection.session()

    async def apply(self, workload: Workload, terms: Terms | None = None) -> None:
        """See the port. Raises Conflict (another hub's namespace, a job's name that was used), UserError (no terms,
        what cannot be expressed), Refused (quota, policy), ClusterRefused (rights), and what the registry raises."""
        bundle = Bundle(workload, _needed(workload, terms))
        session = await self._connection.session()
        main = session.world.main(workload.name)
        if main is not None and _is_as_wanted(main, bundle) and await self._reads_the_same(main, bundle):
            return
        if main is not None and workload.mode == "job":
            state = "is being removed" if fields.is_leaving(main) else "exists with another hash"
            raise Conflict(
                f"job {workload.name!r} {state}: names are used once", next_step="Apply it under a new name."
            )
        claim = await self._connection.claimed()
        place = await self._place(session, bundle)
        manifests = render(bundle, place)
        applier = Applier(session.api, place, predecessors=claim.predecessors)
        force = bundle.terms.force_conflicts
        await preflight(session.api, applier, manifests, force_conflicts=force)
        applied = await applier.apply(manifests, force_conflicts=force)
        if main is not None:
            await applier.prune(workload.name, {key_of(one) for one in manifests})
        session.world.remember(workload.name, _main_of([one.manifest for one in applied], manifests))

    async def delete(self, name: str) -> None:
        """See the port."""
        session = await self._connection.session()
        await self._applier(session).delete(name)
        session.world.forget(name)

    async def observe(self, name: str) -> Observed | None:
        """See the port; from the caches. While the API server is away: as it was last seen, ``stale_since`` then."""
        return (await self._connection.session()).world.observe(name)

    async def list(self) -> tuple[Observed, ...]:
        """See the port."""
        world = (await self._connection.session()).world
        found = (world.observe(name) for name in world.names())
        return tuple(one for one in found if one is not None)

    async def watch(self) -> AsyncIterator[str]:
        """See the port; names that change faster than they are taken come once."""
        world = (await self._connection.session()).world
        changed: dict[str, None] = dict.fromkeys(world.names())
        news = asyncio.Event()

        def on_change(name: str) -> None:
            changed[name] = None
            news.set()

        unsubscribe = world.subscribe(on_change)
        try:
            while True:
                for name in tuple(changed):
                    del changed[name]
                    yield name
                await news.wait()
                news.clear()
                # A Pod that starts is five events, and nobody needs five looks.
                await asyncio.sleep(_TOGETHER)
        finally:
            unsubscribe()

    async def logs(self, name: str, *, follow: bool = False, tail: int | None = None) -> AsyncIterator[LogLine]:
        """See the port; Kubernetes keeps both streams as one, which we call stdout. Raises NotFound, ClusterRefused."""
        session = await self._connection.session()
        if session.world.observe(name) is None:
            raise NotFound(f"there is no workload {name!r} on cluster {self._name!r}")
        view = Follows(session.world, name)
        follower = Follower(session.api, self._spec.namespace, view, self._clock)
        try:
            async with aclosing(follower.lines(tail, follow=follow)) as lines:
                async for line in lines:
                    yield line
        finally:
            view.close()

    async def info(self) -> ClusterInfo:
        """See the port."""
        features = await look(await self._connection.api(), self._spec.namespace)
        holder = await (await self._connection.ownership()).owner()
        return _info(features, holder.hub if holder is not None else "")

    async def check(self) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        ownership = await self._connection.ownership()
        repository = f"{self._spec.registry}/shipway-courier"
        findings = await check(
            await self._connection.api(),
            self._spec,
            owner=ownership,
            registry=lambda: self._supplies.answer(repository),
        )
        return [
            {"name": one.name, "state": one.state, "message": one.message, "nextStep": one.next_step}
            for one in findings
        ]

    async def claim(self, *, take_over: bool = False) -> Mapping[str, Any]:
        """See the port."""
        claim = await self._connection.claimed(take_over=take_over)
        before = claim.replaced
        if before is None:
            return {"owner": claim.holder.hub, "before": ""}
        return {"owner": claim.holder.hub, "before": before.hub, "host": before.host, "since": before.since}

    async def diff(self, workload: Workload, terms: Terms) -> Sequence[Mapping[str, Any]]:
        """See the port."""
        session = await self._connection.session()
        bundle = Bundle(workload, terms)
        manifests = render(bundle, await self._place(session, bundle))
        found: list[Mapping[str, Any]] = []
        for one in await self._applier(session).diff(manifests):
            if one.change != "change":
                found.append({"object": str(one.key), "field": "", "from": None, "to": one.change})
            found += [
                {"object": str(one.key), "field": change.path, "from": change.before, "to": change.after}
                for change in one.fields
            ]
        return found

    async def forward(self, workload: str) -> int:
        """See the port."""
        return await forwarded(await self._connection.session(), self._spec.namespace, workload)

    async def close(self) -> None:
        """See the port."""
        await self._connection.close()

    def _applier(self, session: Session) -> Applier:
        place = Place(self._spec.namespace, self._owner)
        return Applier(session.api, place, predecessors=self._connection.predecessors)

    async def _reads_the_same(self, main: Manifest, bundle: Bundle) -> bool:
        """Whether the Pods of a server were made with the values that its secrets have now."""
        if bundle.workload.mode == "job" or not bundle.workload.secret_env:
            return True
        place = Place(self._spec.namespace, self._owner, secrets=await self._values(bundle.workload))
        made_with = fields.annotation(fields.spec(main).get("template") or {}, CONTENTS)
        return made_with == contents_digest(bundle, place)

    async def _values(self, workload: Workload) -> Mapping[str, Mapping[str, str]]:
        names = {secret for secret, _ in workload.secret_env.values()}
        return {name: await asyncio.to_thread(self._secrets, name) for name in sorted(names)}

    async def _place(self, session: Session, bundle: Bundle) -> Place:
        """What rendering must know: the artifacts are sent where the nodes find them, the secrets are read."""
        spec, workload = self._spec, bundle.workload
        wanted = sorted({one.partition("/")[0] for one in (*workload.inputs.values(), workload.model or "") if one})
        repository = f"{spec.registry}/{bundle.terms.owner.name}"
        sent = await asyncio.gather(*(self._supplies.send(digest, repository) for digest in wanted))
        return Place(
            namespace=spec.namespace,
            owner=self._owner,
            courier=spec.courier,
            outputs=outputs_of(spec),
            plain_http=spec.plain_http,
            pull_secret=spec.pull_secret,
            push_secret=spec.push_secret,
            image_volumes={"on": True, "off": False}.get(spec.image_volumes, session.features.image_volumes),
            references=dict(zip(wanted, sent, strict=True)),
            secrets=await self._values(workload),
        )


def _needed(workload: Workload, terms: Terms | None) -> Terms:
    if terms is None:
        raise UserError(f"workload {workload.name!r} has no terms: a cluster of Kubernetes needs an image at least")
    return terms


def _is_as_wanted(main: Manifest, bundle: Bundle) -> bool:
    """Whether it was applied before; an autoscaler decides about replicas where there is one."""
    if fields.is_leaving(main) or fields.annotation(main, HASH) != bundle.hash():
        return False
    if bundle.workload.mode == "job" or bundle.terms.scaling is not None:
        return True
    return bool(fields.spec(main).get("replicas", 1) == bundle.workload.replicas)


def _main_of(applied: Sequence[Manifest], wanted: Sequence[Manifest]) -> Manifest:
    """The main object as the server has it; of one that was unchanged only its metadata came back."""
    for shown, asked in zip(applied, wanted, strict=True):
        if asked["kind"] in _MAINS:
            return shown if "spec" in shown else {**asked, **shown}
    raise AssertionError("a workload without a main object was rendered")


def _info(found: Features, owner: str) -> ClusterInfo:
    """Kubernetes enforces both limits."""
    names = {
        "image-volumes": found.image_volumes,
        "metrics-server": found.metrics_server,
        "gateway-api": found.gateway_api,
    }
    return ClusterInfo(
        cpus=found.cpus,
        memory=found.memory,
        limits=("cpu", "memory"),
        version=found.version,
        nodes=found.nodes,
        platforms=found.platforms,
        gpus=found.gpus,
        features=tuple(name for name, there in names.items() if there),
        owner=owner,
        notes=() if found.nodes_known else ("its nodes are not known: we may not list them",),
    )
