"""What the hub does must not grow with what it has: counted, not timed (``make bench`` times)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers import GATEWAY
from shipway.controllers.queue import Key
from shipway.kinds import Model, ModelService, ModelServiceSpec, Object, Route
from shipway.ports import Change
from shipway.store.notifying import NotifyingStore
from shipway.testing.store import FakeStore
from shipway.traffic import GatewayState, RoutingTable
from tests.controllers.world import World, play


class CountingStore(FakeStore):
    """Counts calls, and objects that were given out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.count: Counter[str] = Counter()

    def get(self, kind: str, name: str) -> Object:
        self.count["read"] += 1
        return super().get(kind, name)

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        found, version = super().list(kind)
        self.count["read"] += len(found)
        return found, version

    def put(self, obj: Object) -> Object:
        self.count["put"] += 1
        return super().put(obj)

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        for change in super().watch(since, kind=kind, wait=wait):
            self.count["read"] += 1
            yield change


class CountedWorld(World):
    """A world whose store counts, with services that are ready as soon as they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counting = CountingStore(self.clock.now)
        self.store = NotifyingStore(self.counting)

    async def fill(self, services: int) -> None:
        for number in range(services):
            spec = ModelServiceSpec(command=("serve",))
            await self.apply(ModelService, f"s{number}", spec)
            self.cluster.set_ready(f"s{number}-00001")
        await self.advance(5)
        assert {one.status.ready_revision for one in self.services()} == {f"s{n}-00001" for n in range(services)}

    def services(self) -> Sequence[ModelService]:
        return [one for one in self.objects.list("ModelService")[0] if isinstance(one, ModelService)]


def counted(folder: Path, services: int, act: Callable[[CountedWorld], Awaitable[None]]) -> dict[str, int]:
    """What ``act`` costs the store of a hub with so many settled services."""
    world = CountedWorld(folder / str(services))

    async def scene() -> None:
        await world.start()
        try:
            await world.fill(services)
            world.counting.count.clear()
            await act(world)
        finally:
            await world.stop()

    asyncio.run(scene())
    return dict(world.counting.count)


async def _look_at_all(world: CountedWorld) -> None:
    for one in world.objects.list()[0]:
        world.queue.add(one.key)
    world.queue.add(GATEWAY)
    await world.settle()


async def _edit_one(world: CountedWorld) -> None:
    await world.apply(ModelService, "s1", ModelServiceSpec(command=("serve",), env={"A": "b"}))
    await world.make_ready("s1-00002")
    await world.advance(5)
    assert world.get(ModelService, "s1").status.ready_revision == "s1-00002"


def test_a_pass_with_nothing_to_do_does_not_touch_the_store(tmp_path: Path) -> None:
    assert counted(tmp_path, 5, _look_at_all) == {}


@pytest.mark.slow
def test_an_edit_costs_the_same_beside_many(tmp_path: Path) -> None:
    assert counted(tmp_path, 3, _edit_one) == counted(tmp_path, 30, _edit_one)


def test_a_changed_model_wakes_its_services_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        await world.apply(Model, "digits", Model(metadata={"name": "digits"}, spec={}).spec)  # type: ignore[arg-type]
        await world.apply(ModelService, "mine", ModelServiceSpec(model="digits:1"))
        await world.apply(ModelService, "other", ModelServiceSpec(model="iris"))
        woken: list[Key] = []
        monkeypatch.setattr(world.queue, "add", woken.append)
        await world.apply(Model, "digits", world.get(Model, "digits").spec, labels={"a": "b"})
        assert set(woken) == {("Model", "digits"), ("ModelService", "mine")}

    play(tmp_path, body)


def test_a_route_that_changes_while_the_gateway_takes_it_up_is_confirmed_later(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        gateway_apply = world.gateway.apply
        edits = iter([5.0])

        async def apply(table: RoutingTable) -> GatewayState:
            state = await gateway_apply(table)
            if world.objects.list("Route")[0] and (timeout := next(edits, None)):
                route = world.get(Route, "web")
                world.store.put(
                    route.model_copy(
                        update={"spec": route.spec.model_copy(update={"timeout": timeout, "backends": ()})}
                    )
                )
            return state

        await world.apply(ModelService, "web", ModelServiceSpec(command=("serve",)))
        world.cluster.set_ready("web-00001")
        world.gateway.apply = apply  # type: ignore[method-assign]
        await world.settle()
        await world.advance(5)
        route = world.get(Route, "web")
        assert route.spec.timeout == 60
        assert route.status.live_backends == route.spec.backends != ()

    play(tmp_path, body)
