"""The plan of a repair: what is kept, from where, and what is said to be lost."""

from __future__ import annotations

import json
from pathlib import Path

from shipway.database.rows import Row
from shipway.database.salvage import Rows
from shipway.journal.sqlite import ENTRIES, POINTS
from shipway.recovery.findings import BlobFound, Copy, FileFound, Found
from shipway.recovery.plan import Plan, plan
from shipway.store.sqlite import CHANGES, OBJECTS

STORE, JOURNAL = Path("/h/store.db"), Path("/h/journal.db")


def text(name: str, version: int) -> str:
    return json.dumps({"metadata": {"name": name, "resourceVersion": version}})


def store(
    objects: list[Row], changes: list[Row], *, broken: tuple[str, ...] = (), cut: bool = False
) -> tuple[Plan, dict[str, list[Row]]]:
    rows = {
        "objects": Rows(OBJECTS, tuple(objects), broken, cut),
        "changes": Rows(CHANGES, tuple(changes), (), cut=False),
    }
    made = plan(Found(FileFound(STORE, "damaged", rows), FileFound(JOURNAL), models=("digits",)))
    return made, made.rewrites[0].rows


def test_a_sound_home_needs_nothing() -> None:
    assert plan(Found(FileFound(STORE), FileFound(JOURNAL))) == Plan()


def test_a_damaged_object_comes_from_the_change_log() -> None:
    kept, again = ("Model", "a", text("a", 1)), text("b", 2)
    made, rows = store([kept], [(2, "ADDED", "Model", again)], broken=("Model/b",))
    assert rows["objects"] == [kept, ("Model", "b", again)]
    assert rows["changes"] == [(2, "ADDED", "Model", again)]
    assert "Model/b: from the change log" in made.saved
    assert made.lost == ()


def test_what_the_log_says_was_deleted_does_not_come_back() -> None:
    changes: list[Row] = [(1, "ADDED", "Model", text("a", 1)), (2, "DELETED", "Model", text("a", 1))]
    _, rows = store([], changes)
    assert rows["objects"] == []
    assert rows["changes"] == [changes[1]]


def test_the_newer_text_of_an_object_counts() -> None:
    newer = text("a", 5)
    _, rows = store([("Model", "a", text("a", 3))], [(5, "MODIFIED", "Model", newer)])
    assert rows["objects"] == [("Model", "a", newer)]


def test_versions_are_counted_on_when_the_log_is_lost() -> None:
    objects: list[Row] = [("Model", "a", text("a", 3)), ("Model", "b", text("b", 9))]
    _, rows = store(objects, [])
    assert rows["changes"] == [(9, "MODIFIED", "Model", text("b", 9))]


def test_lost_objects_are_named_and_models_come_from_the_layout() -> None:
    made, _ = store([], [], broken=("ModelJob/digits", "Model/digits"), cut=True)
    assert made.lost == ("ModelJob/digits", "every object that is not named above")
    assert any(line.startswith("Model/digits: made anew") for line in made.saved)


def test_a_journal_keeps_what_is_whole_and_names_the_rest() -> None:
    rows = {
        "entries": Rows(ENTRIES, (("event", "A/a", "R", "m", 1, "{}", 1),), ("2/A/a",), cut=False),
        "points": Rows(POINTS, (), ("7/ModelJob/j",), cut=False),
    }
    made = plan(Found(FileFound(STORE), FileFound(JOURNAL, "damaged", rows)))
    assert made.lost == ("entry 2/A/a", "metric point 7/ModelJob/j")
    assert made.rewrites[0].path == JOURNAL
    assert len(made.rewrites[0].rows["entries"]) == 1


def test_a_blob_names_the_versions_that_need_it() -> None:
    blob = BlobFound("sha256:1", "is missing", ("digits:2", "source/abc"))
    made = plan(Found(FileFound(STORE), FileFound(JOURNAL), blobs=(blob,)))
    assert made.lost == ("digits:2: it is no version any more; run its job again, or pull or import it again",)
    assert made.saved == ("source/abc: the next `shipway up` sends it again",)
    saved = BlobFound("sha256:1", "is missing", ("digits:2",), Copy(Path("/h/cache/copy")))
    made = plan(Found(FileFound(STORE), FileFound(JOURNAL), blobs=(saved,)))
    assert made.lost == ()
    assert made.blobs == (saved,)
