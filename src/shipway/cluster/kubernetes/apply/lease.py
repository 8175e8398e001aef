"""One hub writes to a namespace: the Lease ``shipway-owner`` says which.

The owner keeps the Lease for as long as it likes: a laptop that is closed is no reason to let another hub count
versions of the same services. ``renewTime`` only tells people when the owner was last there. So the Lease does not
expire, and another hub takes over only when a person says so.

How a hub that lost the namespace learns of it: :meth:`Ownership.verify` before each pass of writes. Between that look
and the last write of the pass lies a window (seconds) in which both may write; each write is a server-side apply of
whole intent, so the new owner's next pass finds what the old one changed and puts it right. Claims themselves do not
race: each one names the version of the Lease that it replaces.

Source: https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import LEASES
from shipway.cluster.kubernetes.names import MANAGED_BY, Manifest
from shipway.errors import Conflict
from shipway.ports import Clock

LEASE = "shipway-owner"
HOST = "shipway.dev/host"  # annotation: the machine of the hub, for people
PREDECESSORS = "shipway.dev/predecessors"  # annotation: hubs that had the namespace before, newest first

_TRIES = 5  # claims that came between
_REMEMBERED = 20  # predecessors


@dataclass(frozen=True, slots=True)
class Holder:
    """A hub that owns a namespace. Times are RFC 3339 as Kubernetes writes them: since when, and when last seen."""

    hub: str
    host: str = ""
    since: str = ""
    seen: str = ""

    def __str__(self) -> str:
        return f"{self.hub} on {self.host}" if self.host else self.hub


@dataclass(frozen=True, slots=True)
class Claim:
    """The namespace is ours. ``replaced``: from whom it was just taken, for the ledger. ``predecessors`` are all hubs
    that had it before: what they made is ours now (see :class:`.applier.Applier`)."""

    holder: Holder
    replaced: Holder | None = None
    predecessors: tuple[str, ...] = ()


class Ownership:
    """This hub's claim to one namespace. ``holder`` is the hub's id, ``host`` the name of its machine."""

    def __init__(self, api: Api, namespace: str, holder: str, clock: Clock, *, host: str = "") -> None:
        self._api = api
        self._namespace = namespace
        self.holder = holder
        self._clock = clock
        self._host = host or socket.gethostname()

    async def owner(self) -> Holder | None:
        """Who has the namespace, as the cluster says now."""
        lease = await self._read()
        return None if lease is None else _holder(lease)

    async def claim(self, take_over: bool = False) -> Claim:
        """Have the namespace: as the first, again (which renews it), or with ``take_over`` instead of another hub.

        Raises Conflict with the owner's name, and since when.
        """
        for _ in range(_TRIES):
            lease = await self._read()
            held = None if lease is None else _holder(lease)
            if held and held.hub not in ("", self.holder) and not take_over:
                raise self._refused(held)
            try:
                return await self._write(lease, held)
            except Conflict:
                continue  # another claim came first: judge that one
        raise Conflict(
            f'Others claim namespace "{self._namespace}" again and again.',
            next_step="Stop the other hub, and try again.",
        )

    async def verify(self) -> None:
        """Before a pass of writes: it is still ours. Raises Conflict with the one who has it now."""
        held = await self.owner()
        if held is None or held.hub == "":
            raise Conflict(
                f'Namespace "{self._namespace}" has no owner any more: its Lease {LEASE} was deleted.',
                next_step="Claim it again: shipway cluster add, with the same arguments.",
            )
        if held.hub != self.holder:
            raise self._refused(held)

    async def _read(self) -> Manifest | None:
        return await self._api.get(LEASES, LEASE, self._namespace)

    async def _write(self, lease: Manifest | None, held: Holder | None) -> Claim:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        replaced = held if held and held.hub not in ("", self.holder) else None
        before = _predecessors(lease)
        if replaced:
            before = tuple(dict.fromkeys((replaced.hub, *before)))[:_REMEMBERED]
        # Of a namespace that came back, we are owner and no predecessor.
        before = tuple(one for one in before if one != self.holder)
        since = held.since if held and not replaced and held.since else now
        annotations = {HOST: self._host, PREDECESSORS: ",".join(before)}
        spec: dict[str, Any] = {"holderIdentity": self.holder, "acquireTime": since, "renewTime": now}
        if lease is None:
            metadata = {"name": LEASE, "namespace": self._namespace, "labels": {MANAGED_BY: "shipway"}}
            await self._api.create(
                {
                    "apiVersion": LEASES.api_version,
                    "kind": LEASES.kind,
                    "metadata": {**metadata, "annotations": annotations},
                    "spec": {**spec, "leaseTransitions": 0},
                }
            )
        else:
            transitions = int(lease.get("spec", {}).get("leaseTransitions") or 0) + (1 if replaced else 0)
            version = lease["metadata"]["resourceVersion"]
            change = {
                "metadata": {"resourceVersion": version, "annotations": annotations},
                "spec": {**spec, "leaseTransitions": transitions},
            }
            await self._api.patch(LEASES, LEASE, change, namespace=self._namespace)
        return Claim(Holder(self.holder, self._host, since, now), replaced, before)

    def _refused(self, held: Holder) -> Conflict:
        since = f" since {_seconds(held.since)}" if held.since else ""
        seen = f" (last seen {_seconds(held.seen)})" if held.seen else ""
        return Conflict(
            f'Namespace "{self._namespace}" belongs to hub {held}{since}{seen}; this hub is {self.holder}.',
            next_step="Use another namespace, work with that hub, or take over: shipway cluster add ... --take-over",
        )


def _holder(lease: Manifest) -> Holder:
    spec: Mapping[str, Any] = lease.get("spec") or {}
    host = (lease["metadata"].get("annotations") or {}).get(HOST, "")
    times = (str(spec.get(name) or "") for name in ("acquireTime", "renewTime"))
    return Holder(str(spec.get("holderIdentity") or ""), host, *times)


def _seconds(time: str) -> str:
    """Without the microseconds, which nobody reads."""
    return f"{time.partition('.')[0].rstrip('Z')}Z"


def _predecessors(lease: Manifest | None) -> tuple[str, ...]:
    annotations = (lease["metadata"].get("annotations") or {}) if lease is not None else {}
    return tuple(one for one in annotations.get(PREDECESSORS, "").split(",") if one)
