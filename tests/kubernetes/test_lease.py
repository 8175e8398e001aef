"""Who owns a namespace: claims, races and take-overs, against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import LEASES
from shipway.cluster.kubernetes.apply import Claim, Ownership
from shipway.cluster.kubernetes.apply.lease import LEASE
from shipway.errors import Conflict
from tests.kubernetes.applied import on
from tests.kubernetes.control_plane import ControlPlane

MINE, THEIRS, THIRD = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"

T = TypeVar("T")
Of = Callable[[str], Ownership]


def _as(plane: ControlPlane, do: Callable[[Api, Of], Awaitable[T]]) -> T:
    namespace = plane.namespace()

    async def run(api: Api) -> T:
        def of(hub: str) -> Ownership:
            return Ownership(api, namespace, hub, SystemClock(), host=f"host-of-{hub[0]}")

        return await do(api, of)

    return on(plane.kubeconfig, run)


def test_the_first_has_it_and_renews_it(control_plane: ControlPlane) -> None:
    async def do(api: Api, of: Of) -> None:
        assert await of(MINE).owner() is None
        first = await of(MINE).claim()
        again = await of(MINE).claim()
        assert (first.holder.hub, first.holder.host, first.replaced) == (MINE, "host-of-a", None)
        assert again.holder.since == first.holder.since
        assert again.holder.seen > first.holder.seen and again.replaced is None
        await of(MINE).verify()

    _as(control_plane, do)


def test_the_second_is_refused_with_the_owners_name(control_plane: ControlPlane) -> None:
    async def do(api: Api, of: Of) -> None:
        await of(THEIRS).claim()
        with pytest.raises(Conflict) as caught:
            await of(MINE).claim()
        told = caught.value.message
        assert f"belongs to hub {THEIRS} on host-of-b since 20" in told and f"this hub is {MINE}" in told
        assert "--take-over" in caught.value.next_step

    _as(control_plane, do)


def test_a_take_over_tells_whom_it_replaced_and_the_loser_is_told_at_its_next_write(
    control_plane: ControlPlane,
) -> None:
    async def do(api: Api, of: Of) -> None:
        loser = of(THEIRS)
        await loser.claim()
        claim = await of(MINE).claim(take_over=True)
        assert claim.replaced is not None and (claim.replaced.hub, claim.replaced.host) == (THEIRS, "host-of-b")
        assert claim.predecessors == (THEIRS,)
        with pytest.raises(Conflict, match=f"belongs to hub {MINE}"):
            await loser.verify()
        assert (await of(MINE).claim()).predecessors == (THEIRS,), "what the loser made stays ours after a restart"
        back = await loser.claim(take_over=True)
        assert back.predecessors == (MINE,)
        third = await of(THIRD).claim(take_over=True)
        assert third.predecessors == (THEIRS, MINE)

    _as(control_plane, do)


def test_of_claims_at_one_moment_one_wins(control_plane: ControlPlane) -> None:
    async def do(api: Api, of: Of) -> None:
        hubs = [f"{number:012d}" for number in range(8)]
        for taking in (False, True):
            results = await asyncio.gather(*(of(hub).claim(take_over=taking) for hub in hubs), return_exceptions=True)
            won = [one for one in results if isinstance(one, Claim)]
            lease = await api.get(LEASES, LEASE, of(MINE)._namespace)
            assert lease is not None
            if not taking:
                assert len(won) == 1 and won[0].holder.hub == lease["spec"]["holderIdentity"]
            else:  # each knows whom it replaced: no link of the chain is missing
                assert len(won) == lease["spec"]["leaseTransitions"] + sum(one.replaced is None for one in won)

    _as(control_plane, do)


def test_whoever_deletes_the_lease_frees_the_namespace(control_plane: ControlPlane) -> None:
    async def do(api: Api, of: Of) -> None:
        await of(MINE).claim()
        await api.delete(LEASES, LEASE, namespace=of(MINE)._namespace)
        with pytest.raises(Conflict, match="has no owner any more"):
            await of(MINE).verify()
        assert (await of(THEIRS).claim()).replaced is None

    _as(control_plane, do)
