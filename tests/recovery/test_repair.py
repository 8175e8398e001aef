"""Damage in a home's files: found, named, repaired, and what was damaged is kept."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shipway.clock import SystemClock
from shipway.errors import Corrupt
from shipway.journal.sqlite import SqliteJournal
from shipway.models import Lineage, Versions, artifact
from shipway.models.materialise import Materials
from shipway.models.modelpack import Form
from shipway.oci import Layout
from shipway.recovery.inspect import inspect
from shipway.recovery.lost import check_nothing_lost
from shipway.recovery.plan import Plan, plan
from shipway.recovery.repair import repair
from shipway.settings import Settings
from shipway.store.sqlite import SqliteStore
from tests.recovery.homes import NOW, flip, made


@pytest.fixture
def where(tmp_path: Path) -> Settings:
    return made(tmp_path)


def mend(where: Settings) -> Plan:
    """Repair; afterwards the home must be sound."""
    found = plan(inspect(where))
    aside = repair(where, found, NOW)
    assert all(Path(one).exists() for one in aside)
    check_nothing_lost(where)
    assert plan(inspect(where)) == Plan()
    return found


def open_as_a_hub_does(where: Settings) -> None:
    check_nothing_lost(where)
    SqliteStore(where.store, lambda: NOW).close()


def keys(where: Settings) -> list[tuple[str, str]]:
    with closing(SqliteStore(where.store, lambda: NOW)) as store:
        return [one.key for one in store.list()[0]]


def test_a_sound_home_is_left_alone(where: Settings) -> None:
    assert plan(inspect(where)) == Plan()


def test_a_flip_in_an_objects_text_is_named_and_mended_from_the_change_log(where: Settings) -> None:
    flip(where.store, b"ten digits")  # objects lie behind changes or before: either row has a twin
    with pytest.raises(Corrupt, match=r"store\.db is damaged: the row .* does not match its checksum") as error:
        SqliteStore(where.store, lambda: NOW)
    assert "shipway hub repair" in error.value.next_step
    assert mend(where).lost == ()
    assert keys(where) == [("Model", "digits"), ("ModelJob", "train")]
    assert list(where.home.glob("store.db.damaged-*"))


def test_a_flip_in_the_journal_costs_one_line(where: Settings) -> None:
    flip(where.journal, b"a second line")
    with pytest.raises(Corrupt, match=r"journal\.db is damaged: the row 2/Model/digits of entries"):
        SqliteJournal(where.journal)
    assert mend(where).lost == ("entry 2/Model/digits",)
    with closing(SqliteJournal(where.journal)) as journal:
        assert [one.reason for one in journal.entries()] == ["ChampionMoved"]


@pytest.mark.parametrize("content", [None, b"", b"garbage " * 1000])
def test_a_store_that_is_gone_is_not_replaced_unasked(where: Settings, content: bytes | None) -> None:
    where.store.unlink()
    if content is not None:
        where.store.write_bytes(content)
    with pytest.raises(Corrupt, match=r"store\.db"):
        open_as_a_hub_does(where)
    assert "every object that is not named above" in mend(where).lost
    assert keys(where) == []


def test_a_lost_journal_is_told(where: Settings) -> None:
    where.journal.unlink()
    with pytest.raises(Corrupt, match=r"journal\.db is missing, and this home had one"):
        check_nothing_lost(where)
    mend(where)


def test_a_new_home_has_lost_nothing(tmp_path: Path) -> None:
    check_nothing_lost(Settings(tmp_path))


def test_a_hub_killed_in_its_first_second_has_lost_nothing(where: Settings) -> None:
    (where.gateway / "port").unlink()
    (where.oci / "oci-layout").unlink()
    where.journal.unlink()
    check_nothing_lost(where)


def test_a_damaged_blob_is_moved_away_and_its_version_forgotten(where: Settings) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    flip(blob, b"\x01\x02\x01")
    found = mend(where)
    assert blob.name in found.damage[0]
    assert "digits:1" in found.damage[0]
    assert Layout(where.oci).tags() == {}
    assert [one.name for one in where.home.glob("quarantine-*/*")] == [blob.name]


def test_the_number_of_a_lost_version_is_never_given_again(where: Settings, tmp_path: Path) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    flip(blob, b"\x01\x02\x01")
    mend(where)
    versions = Versions(Layout(where.oci), SystemClock())
    made = versions.pack("digits", tmp_path / "files", Lineage(origin="import", source="again", created_at=NOW))
    assert made.number == 2, "digits:1 is in the ledger, and means other bytes"
    versions.remove("digits")
    made = versions.pack("digits", tmp_path / "files", Lineage(origin="import", source="again", created_at=NOW))
    assert made.number == 1, "the model itself was deleted: this is another one"


def test_a_damaged_blob_is_mended_from_the_cache(where: Settings) -> None:
    blob = max((where.oci / "blobs" / "sha256").iterdir(), key=lambda one: one.stat().st_size)
    copy = where.cache / "artifacts" / "some" / "weights.bin"
    copy.parent.mkdir(parents=True)
    content = blob.read_bytes()
    copy.write_bytes(content)
    flip(blob, b"\x01\x02\x01")
    assert mend(where).lost == ()
    assert blob.read_bytes() == content
    assert list(Layout(where.oci).tags()) == ["digits:1"]


@pytest.mark.parametrize("form", ["tar", "tar+zstd"])
def test_a_damaged_layer_is_packed_again_from_the_versions_files(where: Settings, tmp_path: Path, form: Form) -> None:
    layout = Layout(where.oci)
    (tmp_path / "files" / "run.sh").write_text("#!/bin/sh\n" + "echo hello\n" * 200)
    (tmp_path / "files" / "run.sh").chmod(0o755)
    lineage = Lineage(origin="import", source="more", created_at=NOW)
    made = Versions(layout, SystemClock()).pack("digits", tmp_path / "files", lineage, form=form)
    Materials(layout, where.cache).materialise(made.digest)
    modelpack = artifact.opened(layout, layout.resolve("digits:2"))
    for layer in modelpack.layers:
        blob = layout.blob_path(layer.digest)
        content = blob.read_bytes()
        blob.write_bytes(content[:-1] + b"?")
        assert mend(where).lost == ()
        assert blob.read_bytes() == content
    assert list(Layout(where.oci).tags()) == ["digits:1", "digits:2"]


def test_what_a_changed_folder_packs_to_is_no_copy(where: Settings) -> None:
    layout = Layout(where.oci)
    version = layout.resolve("digits:1")
    folder = Materials(layout, where.cache).materialise(version.digest)
    (folder / "weights.bin").chmod(0o600)
    (folder / "weights.bin").write_bytes(b"others")
    blob = layout.blob_path(artifact.opened(layout, version).layers[0].digest)
    blob.write_bytes(b"damaged")
    assert mend(where).lost != ()
    assert list(Layout(where.oci).tags()) == []


def test_pages_that_cannot_be_read_cost_their_rows_only(where: Settings) -> None:
    with closing(SqliteJournal(where.journal)) as journal:
        line = journal.entries()[0]
        for number in range(300):
            journal.append(line.__class__("event", "A/a", "R", f"line {number} {'x' * 200}", NOW))
    content = bytearray(where.journal.read_bytes())
    at = content.index(b"line 150 ") // 4096 * 4096
    content[at : at + 4096] = b"\xff" * 4096
    where.journal.write_bytes(content)
    found = mend(where)
    assert "lines of pages that cannot be read" in found.lost
    with closing(SqliteJournal(where.journal)) as journal:
        kept = {one.message.split(" x")[0] for one in journal.entries()}
    assert {"line 0", "line 100", "line 200", "line 299"} <= kept
    assert len(kept) > 260
