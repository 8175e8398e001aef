"""Undo on this machine: an earlier revision is declared, rolled out, and told of."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.controllers import Recorder, Stories
from shipway.controllers.operations.undo import Undo
from shipway.controllers.updates import find
from shipway.errors import NotFound, Refused
from shipway.kinds import RETRY, Revision
from shipway.models import Snapshots
from tests.controllers.world import World, play

ADA = "ada (shipway undo)"


def undo(world: World) -> Undo:
    return Undo(world.objects, world.versions, Recorder(world.journal, world.clock), world.clock)


async def two_revisions(world: World) -> None:
    await world.job()
    await world.train()
    await world.service()
    await world.make_ready("digits-00001")
    await world.job(params={"C": 2})
    await world.train(text="other")
    await world.make_ready("digits-00002")
    await world.advance(120.0)


def test_back_and_pinned_until_the_file_is_applied_again(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await two_revisions(world)
        done = await undo(world).undo("digits", to="", by=ADA)
        assert (done["from"], done["to"], done["changed"]) == (
            "digits-00002",
            "digits-00001",
            ["model digits:2 -> digits:1"],
        )
        assert done["message"].splitlines()[1] == (
            "its model is digits:1 now, and follows digits again after the next `shipway up`"
        )
        assert done["generation"] == world.service_now().metadata.generation
        await world.settle()
        await world.make_ready("digits-00001")
        assert world.weights() == (("digits-00001", 100),)
        await world.job(params={"C": 3})
        await world.train(text="third")  # a new champion: the service does not follow it by itself
        assert (world.weights(), world.service_now().spec.model) == ((("digits-00001", 100),), "digits:1")
        await world.service()  # as `up` does
        await world.make_ready("digits-00003")
        assert world.weights() == (("digits-00003", 100),)

    play(tmp_path, scene)


def test_it_is_in_the_ledger_and_in_the_story(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await two_revisions(world)
        await undo(world).undo("digits", to="digits-00001", by=ADA)
        await world.settle()
        await world.make_ready("digits-00001")
        live = world.journal.entries(subject="ModelService/digits", type="ledger")[-1]
        assert (live.data["to"], live.data["by"], live.data["why"]) == (
            "digits-00001",
            ADA,
            "model digits:2 -> digits:1",
        )
        stories = Stories(world.objects, world.journal, Snapshots(world.layout).files, world.clock)
        told = [one.text for one in stories.why("ModelService", "digits").lines]
        assert f"back from digits-00002 to digits-00001, by {ADA}" in told

    play(tmp_path, scene)


def test_a_revision_that_failed_is_started_once_more(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await two_revisions(world)
        one = find(world.objects, Revision, "digits-00001")
        assert one is not None
        world.store.put(one.mark_failed("Error", "", "", "", world.clock.now()))
        await undo(world).undo("digits", to="digits-00001", by=ADA)
        assert RETRY in world.service_now().metadata.annotations

    play(tmp_path, scene)


def test_what_is_refused(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        with pytest.raises(NotFound, match="there is no service 'digits'"):
            await undo(world).undo("digits", to="", by=ADA)
        await two_revisions(world)
        world.versions.discard("digits", 1)
        await world.models.reconcile("digits")
        with pytest.raises(Refused, match="digits-00001 served digits:1, and that version was removed"):
            await undo(world).undo("digits", to="", by=ADA)
        assert world.service_now().spec.model == "digits"

    play(tmp_path, scene)
