"""What random lives (test_stateful.py) have found, each by its name."""

from __future__ import annotations

from pathlib import Path

from shipway.kinds import ModelJob
from tests.controllers.mortal import MortalWorld
from tests.controllers.world import play_in


def test_a_disk_that_stays_full_while_packing_is_not_asked_without_a_pause(tmp_path: Path) -> None:
    """Each try wrote two conditions in turn; each write woke the job, and the back-off was for nothing."""

    async def scene(world: MortalWorld) -> None:
        await world.job()
        world.broken.add("pack")
        await world.train()
        job = world.get(ModelJob, "digits")
        assert world.reason(job, "Complete") == "PackingDelayed"
        version = world.store.list()[1]
        await world.advance(60.0)
        assert world.store.list()[1] == version
        world.broken.clear()
        await world.advance(31.0)
        assert world.get(ModelJob, "digits").status.version == "digits:1"

    play_in(MortalWorld(tmp_path), scene)


def test_a_job_is_not_packed_before_its_metrics_are_read(tmp_path: Path) -> None:
    """A node's log endpoint was away for a minute when a job ended: the gate then judged a run without an accuracy."""

    async def scene(world: MortalWorld) -> None:
        await world.job(evaluate={"metric": "accuracy", "min": 0.9})
        world.broken.add("logs")
        await world.train(accuracy=0.95)
        condition = world.get(ModelJob, "digits").status.condition("Complete")
        assert condition is not None
        assert (condition.reason, condition.message) == (
            "PackingDelayed",
            "its metrics cannot be read yet: the test does not let logs work",
        )
        world.broken.clear()
        await world.advance(61.0)
        assert dict(world.get(ModelJob, "digits").status.metrics) == {"accuracy": 0.95}
        assert world.get(ModelJob, "digits").status.version == "digits:1"

    play_in(MortalWorld(tmp_path), scene)
