"""Objects of a workload are written, compared and removed: server-side apply with the field manager ``shipway``.

What is as it should be gets no write (:mod:`.decide`). Who else holds a field is told, and overruled only when asked.
An object that no hub or another hub made is left alone: see ``predecessors`` for hubs whose namespace was taken over.

Everything here may be killed between any two requests and asked for again: server-side apply makes no second object,
and what was written already is found unchanged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.refusals import FieldsOwned
from shipway.cluster.kubernetes.api.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    INGRESSES,
    JOBS,
    NETWORK_POLICIES,
    PERSISTENT_VOLUME_CLAIMS,
    POD_DISRUPTION_BUDGETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
    resource_of,
)
from shipway.cluster.kubernetes.apply import replicas, sentences
from shipway.cluster.kubernetes.apply.decide import Key, key_of, owner_of, stamped, unchanged, waves, workload_of
from shipway.cluster.kubernetes.apply.difference import Difference, fields_changed
from shipway.cluster.kubernetes.check.together import together
from shipway.cluster.kubernetes.names import KIND, NAME, OWNER, WORKLOAD, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.errors import NotFound

# What a workload may leave, in the order of its removal: first what would bring back or route to the rest.
KINDS: tuple[Resource, ...] = (
    HTTP_ROUTES,
    INGRESSES,
    HORIZONTAL_POD_AUTOSCALERS,
    CRON_JOBS,
    DEPLOYMENTS,
    STATEFUL_SETS,
    JOBS,
    POD_DISRUPTION_BUDGETS,
    SERVICES,
    NETWORK_POLICIES,
    CONFIG_MAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
)

_FEW = 8  # objects of a kind that are read one by one; more are found in a list
_LOOK = 0.25  # seconds between two looks at an object that is being deleted


@dataclass(frozen=True, slots=True)
class Applied:
    """One object as it is now, and what was done. Of an unchanged one ``manifest`` has the metadata only."""

    manifest: Manifest
    result: Literal["created", "configured", "unchanged"]


class Applier:
    """Writes to one namespace of a cluster.

    ``predecessors`` are hubs from which this one took the namespace over: what they made is ours now. ``patience``:
    seconds to wait for an object of the same name that is being deleted.
    """

    def __init__(self, api: Api, place: Place, *, predecessors: Collection[str] = (), patience: float = 30.0) -> None:
        self._api = api
        self._place = place
        self._ours = frozenset({place.owner, *predecessors})
        self._patience = patience

    async def apply(
        self, manifests: Iterable[Manifest], *, force_conflicts: bool = False, dry_run: bool = False
    ) -> tuple[Applied, ...]:
        """Make it so, in the order in which the kinds need each other; the objects in the order given.

        ``force_conflicts`` takes fields from other managers, and adopts objects that no hub made. Raises Conflict
        (other managers, other hubs, immutable fields, an object that is being deleted), UserError (what the server
        does not take), NotFound (the namespace), ClusterRefused, ClusterUnreachable. What was written before it stays.
        """
        wanted = [stamped(one) for one in manifests]
        live = await self._live(wanted)
        done: dict[Key, Applied] = {}

        async def one(manifest: Manifest) -> None:
            key = key_of(manifest)
            done[key] = await self._apply(manifest, live.get(key), force_conflicts, dry_run)

        for wave in waves(wanted):
            await together(one(manifest) for manifest in wave)
        return tuple(done[key_of(one)] for one in wanted)

    async def diff(self, manifests: Iterable[Manifest]) -> tuple[Difference, ...]:
        """What ``apply`` and ``prune`` would do, by asking the API server; nothing is written."""
        wanted = [stamped(one) for one in manifests]
        live = await self._live(wanted)
        changes = await together(self._difference(one, live.get(key_of(one))) for one in wanted)
        keep = {key_of(one) for one in wanted}
        extra: list[Difference] = []
        for workload in sorted({workload_of(one) for one in wanted} - {""}):
            found = await self._of_workload(workload)
            extra += [Difference(key, "delete") for key, _ in found if key not in keep]
        return (*(one for one in changes if one), *extra)

    async def prune(self, workload: str, keep: Collection[Key]) -> tuple[str, ...]:
        """Remove what this hub made for the workload and is not in ``keep``; a sentence for each object.

        Claims are never removed, for their data cannot be made again: the sentence says how to do it by hand.
        """
        gone = await self._remove(pair for pair in await self._of_workload(workload) if pair[0] not in keep)
        claims = await self._claims(workload)
        return (*gone, *(sentences.kept(key) for key, owner in claims if owner in self._ours and key not in keep))

    async def delete(self, workload: str) -> tuple[str, ...]:
        """Begin to remove all that this hub made for the workload, except for claims; a sentence for each object."""
        gone = await self._remove(await self._of_workload(workload))
        return (*gone, *(sentences.kept(key) for key, _ in await self._claims(workload)))

    # --- one object

    async def _apply(self, manifest: Manifest, live: Manifest | None, force: bool, dry_run: bool) -> Applied:
        key = key_of(manifest)
        if live is not None:
            live = await self._not_leaving(resource_of(manifest), key, live, dry_run)
        if live is not None:
            sentences.check_ours(key, owner_of(live), self._ours, adopt=force)
            if unchanged(manifest, live):
                return Applied(live, "unchanged")
        with sentences.told(key):
            if live is not None and not dry_run and replicas.leaves_out(manifest, live):
                await replicas.keep(self._api, manifest)
            try:
                made = await self._api.apply(manifest, force=force, dry_run=dry_run)
            except FieldsOwned as error:
                if not await replicas.is_free(self._api, manifest, error):
                    raise
                made = await self._api.apply(manifest, force=True, dry_run=dry_run)
        return Applied(made, "created" if live is None else "configured")

    async def _not_leaving(self, resource: Resource, key: Key, live: Manifest, dry_run: bool) -> Manifest | None:
        """The object, or None when it was being deleted and is gone by now. What is applied to it would go with it."""
        waited = 0.0
        seen: Manifest | None = live
        while seen is not None and seen["metadata"].get("deletionTimestamp"):
            if waited >= self._patience or dry_run:
                raise sentences.leaving(key, seen)
            await asyncio.sleep(_LOOK)
            waited += _LOOK
            seen = await self._api.get(resource, key.name, key.namespace)
        return seen

    async def _difference(self, manifest: Manifest, live: Manifest | None) -> Difference | None:
        key = key_of(manifest)
        if live is None:
            return Difference(key, "create")
        if unchanged(manifest, live):
            return None
        conflicts: tuple[str, ...] = ()
        before = await self._api.get(resource_of(manifest), key.name, key.namespace)
        if before is not None and replicas.leaves_out(manifest, live):
            manifest = replicas.as_kept(manifest, before)
        with sentences.told(key):
            try:
                after = await self._api.apply(manifest, dry_run=True)
            except FieldsOwned as error:
                conflicts = sentences.holders(error)
                after = await self._api.apply(manifest, dry_run=True, force=True)
        if before is None:
            return Difference(key, "create")
        fields = fields_changed(before, after)
        return Difference(key, "change", fields, conflicts) if fields else None

    # --- many

    async def _live(self, wanted: Sequence[Manifest]) -> Mapping[Key, Manifest]:
        """The metadata of those that exist, whoever made them."""
        places: dict[tuple[Resource, str], list[str]] = {}
        for one in wanted:
            place = resource_of(one), one["metadata"].get("namespace", "")
            places.setdefault(place, []).append(one["metadata"]["name"])
        found: dict[Key, Manifest] = {}
        reads: list[Awaitable[None]] = []
        for (resource, namespace), names in places.items():
            if len(names) > _FEW:
                reads.append(self._read_all(found, resource, namespace, frozenset(names)))
            else:
                reads += [self._read(found, resource, namespace, name) for name in names]
        await together(reads)
        return found

    async def _read(self, found: dict[Key, Manifest], resource: Resource, namespace: str, name: str) -> None:
        live = await self._api.get(resource, name, namespace)
        if live is not None:
            found[key_of(live)] = _metadata(live)

    async def _read_all(
        self, found: dict[Key, Manifest], resource: Resource, namespace: str, names: frozenset[str]
    ) -> None:
        def keep(live: dict[str, Any]) -> Manifest | None:
            return _metadata(live) if live["metadata"]["name"] in names else None

        listing = await self._api.list(resource, namespace=namespace, into=keep)
        found.update((key_of(one), one) for one in listing.items if one is not None)

    async def _of_workload(self, workload: str) -> list[tuple[Key, Manifest]]:
        """Metadata of all that this hub and its predecessors made for it, in the order of removal."""

        async def of_kind(resource: Resource) -> tuple[Manifest, ...]:
            try:
                listing = await self._api.list(
                    resource, namespace=self._place.namespace, labels=f"{OWNER},{WORKLOAD}={workload}", into=_metadata
                )
            except NotFound:
                return ()  # a cluster without the Gateway API has no HTTPRoutes
            return listing.items

        lists = await together(of_kind(resource) for resource in KINDS)
        return [(key_of(one), one) for listed in lists for one in listed if owner_of(one) in self._ours]

    async def _claims(self, service: str) -> list[tuple[Key, str]]:
        """The claims of a service and who made them; those that a StatefulSet made are nobody's. A job's claims are for
        its later runs, too, and no workload's."""
        labels = f"{KIND}=ModelService,{NAME}={service}"
        listing = await self._api.list(
            PERSISTENT_VOLUME_CLAIMS, namespace=self._place.namespace, labels=labels, into=_metadata
        )
        return [(key_of(one), owner_of(one)) for one in listing.items]

    async def _remove(self, found: Iterable[tuple[Key, Manifest]]) -> tuple[str, ...]:
        told = []
        for key, live in found:
            if not live["metadata"].get("deletionTimestamp"):
                uid = live["metadata"].get("uid", "")
                if await self._api.delete(resource_of(live), key.name, namespace=key.namespace, uid=uid):
                    told.append(f"deleted {key}")
        return tuple(told)


def _metadata(live: Manifest) -> Manifest:
    return {name: live[name] for name in ("apiVersion", "kind", "metadata")}
