"""The gateway's own process: what is told when it ends, and which one runs after an upgrade."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shipway.controllers import Recorder
from shipway.kinds import ModelService, Object
from shipway.ports import Entry
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.traffic import GatewayState
from tests.controllers.world import ENVOY, World, play


async def serving(world: World) -> None:
    await world.service(command=["python", "server.py"])
    await world.make_ready("digits-00001")
    world.cluster.set_ready("gateway")
    await world.settle()


def told(world: World) -> list[Entry]:
    return world.journal.entries(subject="Gateway/gateway", type="event")


def test_every_restart_of_envoy_is_told_once_with_its_numbers(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        assert told(world) == []
        world.cluster.kill("gateway", signal=9)
        world.cluster.set_ready("gateway")
        await world.settle()
        await world.advance(5.0)
        (entry,) = told(world)
        assert entry.reason == "GatewayRestarted" and "signal 9" in entry.message
        assert (entry.data["restarts"], entry.data["signal"], entry.data["exitCode"]) == (1, 9, None)
        await world.restart()
        assert len(told(world)) == 1

    play(tmp_path, scene)


def test_a_restart_while_no_hub_lived_is_told_by_the_next_one(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        await world.stop()
        world.cluster.kill("gateway", signal=11)
        world.cluster.kill("gateway", signal=11)
        world.cluster.set_ready("gateway")
        await world.start()
        assert [one.data["restarts"] for one in told(world)] == [2]

    play(tmp_path, scene)


def test_an_envoy_in_back_off_says_how_it_ended(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await serving(world)
        world.outage(GatewayState(False, "Unreachable", "no socket"))
        ended = replace(
            world.cluster.replica("gateway"), phase="BackOff", signal=9, message="ended by signal 9 (Killed)"
        )
        world.cluster.set_replica("gateway", ended)
        await world.settle()
        condition = world.route_now().status.condition("Programmed")
        assert condition is not None
        assert (condition.reason, condition.message) == ("GatewayEnded", "Envoy ended: ended by signal 9 (Killed)")

    play(tmp_path, scene)


def test_the_envoy_of_another_shipway_serves_until_it_ends(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.cluster.apply(replace(ENVOY, command=("/old/envoy",)))
        world.cluster.set_ready("gateway")
        await serving(world)
        assert world.service_now().status.ready_revision == "digits-00001"
        assert world.cluster.workload("gateway").command == ("/old/envoy",)
        world.cluster.set_replica("gateway", replace(world.cluster.replica("gateway"), phase="BackOff"))
        await world.settle()
        world.cluster.finish_delete("gateway")
        await world.settle()
        assert world.cluster.workload("gateway").command == ENVOY.command

    play(tmp_path, scene)


def test_a_hub_that_dies_between_ledger_and_status_is_followed_by_one_that_writes_neither_twice(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.service(command=["python", "server.py"])
        put = world.store.put

        def dies(obj: Object) -> Object:
            if isinstance(obj, ModelService) and obj.status.ready_revision:
                raise Killed
            return put(obj)

        world.store.put = dies  # type: ignore[method-assign]
        await world.make_ready("digits-00001")
        assert world.service_now().status.ready_revision == ""
        assert len(live(world)) == 1
        world.store.put = put  # type: ignore[method-assign]
        await world.restart()
        assert world.service_now().status.ready_revision == "digits-00001"
        assert len(live(world)) == 1

    play(tmp_path, scene)


class Killed(Exception):
    """Stands for kill -9."""


def live(world: World) -> list[Entry]:
    return world.journal.entries(subject="ModelService/digits", type="ledger")


def test_a_line_of_the_ledger_is_compared_with_the_journal() -> None:
    journal, clock = FakeJournal(), FakeClock()
    for _ in range(2):
        hub = Recorder(journal, clock)
        hub.ledger("ModelService/a", "Live", "all traffic goes to a-1", {"from": "", "to": "a-1"})
        hub.ledger("ModelService/a", "Live", "all traffic goes to a-1", {"from": "", "to": "a-1"})
    assert len(journal.entries()) == 1
    hub.ledger("ModelService/a", "Live", "all traffic goes to a-2", {"from": "a-1", "to": "a-2"})
    hub.ledger("ModelService/a", "Live", "all traffic goes to a-1", {"from": "a-2", "to": "a-1"})
    hub.ledger("ModelService/b", "Live", "all traffic goes to a-1", {"from": "a-2", "to": "a-1"})
    assert [one.data["to"] for one in journal.entries(subject="ModelService/a")] == ["a-1", "a-2", "a-1"]
    assert len(journal.entries(subject="ModelService/b")) == 1
