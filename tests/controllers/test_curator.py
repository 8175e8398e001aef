"""Names and removals by hand: what they change, what is refused, and what the controllers make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shipway.controllers.model import ModelController
from shipway.controllers.recorder import Recorder
from shipway.errors import NotFound, Refused, UserError
from shipway.kinds import Model, ModelService, ModelServiceSpec
from shipway.models import Lineage
from shipway.ports import Entry
from shipway.testing.store import FakeStore
from tests.controllers.world import World, play

ADA = "ada (shipway models)"

pytestmark = pytest.mark.slow  # packs versions, each flushed to the disk


def ledger(world: World, reason: str) -> list[Entry]:
    return [one for one in world.journal.entries(subject="Model/digits", type="ledger") if one.reason == reason]


async def trained(world: World, count: int, **spec: Any) -> None:
    """That many versions, the last one champion."""
    for number in range(1, count + 1):
        await world.job(params={"C": number}, **spec)
        await world.train(text=f"weights {number}")


def published(world: World, count: int) -> None:
    """As many versions, made by nobody that this world knows."""
    folder = world.folder / "published"
    folder.mkdir()
    (folder / "model.joblib").write_text("w")
    for number in range(1, count + 1):
        made = Lineage(run=f"r-{number}", fingerprint=f"f-{number}", metrics={"accuracy": 0.9}, origin="job")
        world.versions.pack("digits", folder, made)


def test_a_champion_by_hand_is_served_until_a_newer_run_passes(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 2)
        await world.service()
        await world.make_ready("digits-00001")
        done = await world.curator.tag("digits", "1", "champion", by=ADA, why="2 is slow")
        assert done == {"model": "digits", "alias": "champion", "version": 1, "before": 2}
        await world.settle()
        await world.make_ready("digits-00002")
        served = world.service_now().status.model
        assert served is not None and served.version == 1
        [moved] = [one for one in ledger(world, "ChampionMoved") if one.data.get("byHand")]
        assert (moved.data["by"], moved.data["why"], moved.data["from"], moved.data["to"]) == (ADA, "2 is slow", 2, 1)
        [live] = world.journal.entries(subject="ModelService/digits", type="ledger")[-1:]
        assert (live.data["by"], live.data["why"]) == (ADA, "digits:1 became champion")
        # Nothing that the job rests on moves it back, nor does the next hub.
        await world.restart()
        await world.job(params={"C": 2}, retries=3)
        assert world.model_now().status.aliases["champion"] == 2, "applied anew, and its run is known: it is judged"
        await world.curator.tag("digits", "1", "champion", by=ADA)
        await world.restart()
        assert world.model_now().status.aliases["champion"] == 1
        await world.job(params={"C": 3})
        await world.train(text="weights 3")
        assert world.model_now().status.aliases["champion"] == 3

    play(tmp_path, scene)


def test_the_gate_compares_with_the_champion_that_was_made_by_hand(tmp_path: Path) -> None:
    gate = {"metric": "accuracy", "not_worse_than": "champion"}

    async def scene(world: World) -> None:
        await world.job(params={"C": 1}, evaluate=gate)
        await world.train(accuracy=0.90)
        await world.job(params={"C": 2}, evaluate=gate)
        await world.train(accuracy=0.95, text="better")
        await world.curator.tag("digits", "1", "champion", by=ADA)
        await world.job(params={"C": 3}, evaluate=gate)
        await world.train(accuracy=0.92, text="between")
        status = world.model_now().status
        assert (status.aliases["champion"], status.versions[-1].gate) == (3, "passed"), "better than digits:1"

    play(tmp_path, scene)


def test_a_version_that_the_gate_held_back_is_champion_by_force_only(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 1)
        await world.job(params={"C": 9}, evaluate={"metric": "accuracy", "min": 0.99})
        await world.train(accuracy=0.5, text="worse")
        with pytest.raises(Refused, match="the gate held digits:2 back"):
            await world.curator.tag("digits", "2", "champion", by=ADA)
        await world.curator.tag("digits", "2", "champion", by=ADA, force=True)
        assert world.model_now().status.aliases["champion"] == 2

    play(tmp_path, scene)


def test_a_service_follows_an_alias(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 2)
        await world.curator.tag("digits", "1", "prod", by=ADA)
        await world.service(model="digits:prod")
        await world.make_ready("digits-00001")
        await world.curator.tag("digits", "latest", "prod", by=ADA, why="ready")
        await world.settle()
        await world.make_ready("digits-00002")
        served = world.service_now().status.model
        assert served is not None and served.version == 2
        live = world.journal.entries(subject="ModelService/digits", type="ledger")[-1]
        assert (live.data["by"], live.data["why"]) == (ADA, "digits:2 became prod")
        assert [(one.data["from"], one.data["to"]) for one in ledger(world, "AliasMoved")] == [(None, 1), (1, 2)]
        assert (await world.curator.tag("digits", "2", "prod", by=ADA))["before"] == 2
        assert len(ledger(world, "AliasMoved")) == 2, "what is so already is no move"
        with pytest.raises(Refused, match="digits:prod is what service digits follows"):
            await world.curator.untag("digits", "prod", by=ADA)
        await world.curator.untag("digits", "prod", by=ADA, force=True)
        await world.settle()
        assert world.reason(world.service_now(), "RolledOut") == "ModelNotAvailable"
        assert world.endpoints() == 1, "what serves goes on"

    play(tmp_path, scene)


def test_names_that_nobody_can_give(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 1)
        curator = world.curator
        with pytest.raises(Refused, match="latest is always the newest"):
            await curator.tag("digits", "1", "latest", by=ADA)
        with pytest.raises(UserError, match="looks like a version's number"):
            await curator.tag("digits", "1", "7", by=ADA)
        with pytest.raises(NotFound, match=r"no version '9'\nversions: 1"):
            await curator.tag("digits", "9", "prod", by=ADA)
        with pytest.raises(NotFound, match="there is no model 'digit'\ndid you mean digits"):
            await curator.tag("digit", "1", "prod", by=ADA)
        with pytest.raises(Refused, match="keeps a champion"):
            await curator.untag("digits", "champion", by=ADA)
        with pytest.raises(NotFound, match="no alias 'prod'\naliases: champion, latest"):
            await curator.untag("digits", "prod", by=ADA)

    play(tmp_path, scene)


def test_a_removed_number_never_comes_again(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 3)
        digest = world.model_now().status.versions[0].digest
        done = await world.curator.remove("digits", "1", by=ADA, why="of wrong data")
        assert done == {"model": "digits", "version": 1, "digest": digest, "pushed": [], "aliases": []}
        status = world.model_now().status
        assert ([one.number for one in status.versions], status.count) == ([2, 3], 2)
        [line] = ledger(world, "VersionRemoved")
        assert (line.message, line.data["by"]) == ("digits:1 was removed: of wrong data", ADA)
        await world.job(params={"C": 1})
        await world.train(text="weights 1")
        assert world.model_now().status.aliases == {"latest": 4, "champion": 4}, "trained anew, under a new number"
        with pytest.raises(NotFound):
            await world.curator.remove("digits", "1", by=ADA)

    play(tmp_path, scene)


def test_what_is_used_is_not_removed(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await trained(world, 3)
        await world.service(model="digits:1")
        await world.make_ready("digits-00001")
        with pytest.raises(Refused, match="digits:1 is in use: revision digits-00001, service digits"):
            await world.curator.remove("digits", "1", by=ADA, force=True)
        with pytest.raises(Refused, match="digits:3 is champion\nMake another one champion"):
            await world.curator.remove("digits", "3", by=ADA, force=True)
        await world.curator.tag("digits", "2", "prod", by=ADA)
        with pytest.raises(Refused, match="digits:2 is what the alias prod of digits names\n--force"):
            await world.curator.remove("digits", "2", by=ADA)
        assert (await world.curator.remove("digits", "2", by=ADA, force=True))["aliases"] == ["prod"]
        assert "prod" not in world.model_now().status.aliases
        with pytest.raises(Refused, match="digits is the model of service digits"):
            world.curator.remove_model("digits", by=ADA)
        await world.views.down([("ModelService", "digits")])
        await world.curator.remove("digits", "1", by=ADA)
        with pytest.raises(Refused, match="digits:3 is champion\nRemove the model: shipway models rm digits"):
            await world.curator.remove("digits", "3", by=ADA)
        assert world.curator.remove_model("digits", by=ADA) == {"model": "digits", "versions": 1}
        await world.settle()
        assert world.versions.names() == ()
        [line] = ledger(world, "ModelDeleted")
        assert line.data["by"] == ADA

    play(tmp_path, scene)


@pytest.fixture
def few_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """To pack a hundred versions takes a second."""
    monkeypatch.setattr("shipway.kinds.model.LISTED", 5)


def test_a_status_lists_the_newest_and_old_versions_can_be_served_all_the_same(
    tmp_path: Path, few_listed: None
) -> None:
    async def scene(world: World) -> None:
        published(world, 12)
        world.models.mirror_all()
        await world.settle()
        status = world.model_now().status
        assert (status.count, [one.number for one in status.versions]) == (12, [8, 9, 10, 11, 12])
        await world.service(model="digits:3")
        await world.make_ready("digits-00001")
        served = world.service_now().status.model
        assert served is not None and served.version == 3
        await world.apply(ModelService, "other", ModelServiceSpec(model="digits:777"))
        blocked = world.get(ModelService, "other").status.condition("RolledOut")
        assert blocked is not None
        assert blocked.message.startswith("model digits has no version '777' (newest of 12 versions: 8, 9")
        await world.curator.tag("digits", "2", "prod", by=ADA)
        assert [one.number for one in world.model_now().status.versions[:2]] == [2, 8]
        found = world.catalog.diff(("digits", "1"), ("digits", "prod"))
        assert (found.before, found.after, found.same_files) == ("digits:1", "digits:2", True)

    play(tmp_path, scene)


def test_a_champion_is_found_among_old_versions(tmp_path: Path, few_listed: None) -> None:
    """After a lost store: all that is listed was held back by its gate."""

    async def scene(world: World) -> None:
        published(world, 2)
        folder = world.folder / "published"
        for number in range(3, 9):
            made = Lineage(run=f"r-{number}", fingerprint=f"f-{number}", gate="failed", gate_reason="bad", origin="job")
            world.versions.pack("digits", folder, made)
        world.models.mirror_all()
        await world.settle()
        status = world.model_now().status
        assert (status.aliases["champion"], status.versions[0].number) == (2, 2)

    play(tmp_path, scene)


def test_a_verdict_outlives_a_lost_store(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.job(params={"C": 1})
        await world.train(accuracy=0.9)
        await world.job(params={"C": 2})
        await world.train(accuracy=0.8, text="second")
        await world.job(params={"C": 1}, evaluate={"metric": "accuracy", "min": 0.99})
        judged = world.versions.list("digits", (1,))[0]
        assert (judged.gate, judged.gate_reason) == ("failed", "accuracy 0.9 is below the minimum 0.99")
        assert world.versions.lineage("digits", 1).gate == "none", "what was packed stays as it was packed"
        assert world.model_now().status.versions[0].gate == "failed"

    play(tmp_path, scene)


def test_names_outlive_a_lost_store(tmp_path: Path) -> None:
    """Else who went back to an old champion by hand would have the new one again."""

    async def scene(world: World) -> None:
        published(world, 3)
        world.models.mirror_all()
        await world.settle()
        await world.curator.tag("digits", "1", "champion", by=ADA)
        await world.curator.tag("digits", "2", "prod", by=ADA)
        await world.settle()
        assert dict(world.versions.aliases("digits")) == {"champion": 1, "prod": 2}
        recorder, store = Recorder(world.journal, world.clock), FakeStore(world.clock.now)
        found = ModelController(store, world.clock, world.versions, world.models.artifacts, recorder)
        found.mirror_all()
        await found.reconcile("digits")
        model = found.store.get("Model", "digits")
        assert isinstance(model, Model)
        assert model.status.aliases == {"champion": 1, "prod": 2, "latest": 3}
        await world.curator.untag("digits", "prod", by=ADA)
        await world.settle()
        assert dict(world.versions.aliases("digits")) == {"champion": 1}
        world.versions.remove("digits")
        assert dict(world.versions.aliases("digits")) == {}

    play(tmp_path, scene)
