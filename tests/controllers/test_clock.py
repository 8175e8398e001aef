"""Somebody sets the clock by an hour, forward and back, or the machine sleeps: nothing is given up, nothing waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.kinds import ModelJob, Revision
from tests.controllers.world import World, play

BOTH_WAYS = pytest.mark.parametrize("leap", [3600.0, -3600.0], ids=["forward", "back"])


@BOTH_WAYS
def test_a_rollout_has_its_whole_deadline_again(tmp_path: Path, leap: float) -> None:
    async def scene(world: World) -> None:
        await world.service(command=("./server",), port=8080, rollout={"progressDeadline": 60.0})
        world.cluster.start("digits-00001")
        await world.advance(50)
        world.clock.leap(leap)
        await world.advance(50)
        assert world.get(Revision, "digits-00001").status.phase == "Starting"
        await world.advance(11)
        assert world.get(Revision, "digits-00001").status.phase == "Failed"

    play(tmp_path, scene)


@BOTH_WAYS
def test_requests_under_way_may_end_and_then_the_old_revision_does(tmp_path: Path, leap: float) -> None:
    async def scene(world: World) -> None:
        await world.service(command=("./server",), port=8080, timeout=30.0)
        await world.make_ready("digits-00001")
        world.gateway.requests["digits-00001"] = 1
        await world.service(command=("./other",), port=8080, timeout=30.0)
        await world.make_ready("digits-00002")
        world.clock.leap(leap)
        await world.advance(20)
        assert world.get(Revision, "digits-00001").status.phase == "Draining"
        world.gateway.requests["digits-00001"] = 0
        await world.advance(1)
        assert world.get(Revision, "digits-00001").status.phase == "Retired"

    play(tmp_path, scene)


@BOTH_WAYS
@pytest.mark.parametrize("hub_lives", [True, False], ids=["hub-lives", "no-hub"])
def test_a_retry_comes_when_its_back_off_is_over(tmp_path: Path, leap: float, hub_lives: bool) -> None:
    async def scene(world: World) -> None:
        await world.job(retries=1)
        world.cluster.start(world.run_name())
        world.cluster.finish(world.run_name(), exit_code=1)
        await world.settle()
        if hub_lives:
            world.clock.leap(leap)
        else:
            await world.stop()
            world.clock.leap(leap)
            await world.start()
        await world.advance(1)
        run = world.get(ModelJob, "digits").status.run
        assert run is not None and run.attempt == 2

    play(tmp_path, scene)
