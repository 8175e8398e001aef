"""One flipped byte in the store, in the journal and in a blob of a real home; and a backup on another home."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.journal.sqlite import SqliteJournal
from shipway.settings import Settings
from tests.e2e.home import EXAMPLES, Home, fresh_home
from tests.recovery.homes import flip


@pytest.mark.parametrize(("name", "near"), [("store.db", b"accuracy"), ("journal.db", b"champion is digits:1")])
def test_a_flipped_byte_is_said_by_every_command_and_repaired(home: Home, name: str, near: bytes) -> None:
    home.ok("up", EXAMPLES / "digits")
    home.ok("down", "--all")
    home.ok("hub", "stop")
    file = home.path / name
    flip(file, near, after=2)
    before = file.read_bytes()
    for command in (("hub", "start"), ("hub", "status"), ("status",), ("up", EXAMPLES / "digits")):
        failed = home.shipway(*command)
        assert failed.returncode == Corrupt.exit_code, command
        assert f"{file} is damaged: the row" in failed.stderr
        assert "shipway hub repair" in failed.stderr
        assert file.read_bytes() == before, "nothing was overwritten"
    assert not home.processes("hub"), "it does not try again and again"
    shown = home.ok("hub", "repair")
    assert "nothing was changed" in shown
    assert file.read_bytes() == before
    home.ok("hub", "repair", "--yes")
    kept = next(one for one in home.path.glob(f"{name}.damaged-*") if not one.name.endswith("-wal"))
    assert kept.read_bytes() == before
    assert "seen in digits:1" in home.ok("up", EXAMPLES / "digits")
    assert _versions(home) == {"digits": 1}


def test_a_flipped_byte_in_a_version(home: Home) -> None:
    home.ok("up", EXAMPLES / "digits")
    blobs = Settings(home.path).oci / "blobs" / "sha256"
    weights = max(blobs.iterdir(), key=lambda one: one.stat().st_size)
    flip(weights, weights.read_bytes()[100:120])
    failed = home.shipway("hub", "backup", home.projects / "b.tgz")
    assert failed.returncode == Corrupt.exit_code
    assert weights.name in failed.stderr
    home.ok("down", "--all")
    home.ok("hub", "stop")
    shown = home.ok("hub", "repair")
    assert weights.name in shown
    assert "digits:1" in shown
    home.ok("hub", "repair", "--yes")  # the service had a copy in the cache
    assert "is sound" in home.ok("hub", "repair")
    assert "seen in digits:1" in home.ok("up", EXAMPLES / "digits")


def test_a_store_that_was_deleted_is_not_silently_made_anew(home: Home) -> None:
    home.ok("up", EXAMPLES / "digits")
    home.ok("down", "--all")
    home.ok("hub", "stop")
    (home.path / "store.db").unlink()
    failed = home.shipway("hub", "start")
    assert failed.returncode == Corrupt.exit_code
    assert "store.db is missing, and this home had one" in failed.stderr
    assert not (home.path / "store.db").exists()
    home.ok("hub", "repair", "--yes")
    home.ok("hub", "start")
    assert _versions(home) == {"digits": 1}, "the layout is the truth about versions"


def test_a_backup_of_a_running_home_serves_elsewhere(home: Home) -> None:
    home.ok("up", EXAMPLES / "digits")
    file = home.projects / "home.tgz"
    home.ok("hub", "backup", file)
    with fresh_home() as other:
        refused = home.shipway("hub", "restore", file)
        assert "a hub runs" in refused.stderr
        other.ok("hub", "restore", file)
        assert _ledger(other.path) == _ledger(home.path)
        other.ok("hub", "start")
        assert _versions(other) == {"digits": 1}
        assert "job fingerprint seen in digits:1" in other.ok("up", EXAMPLES / "digits")
        sample = (EXAMPLES / "digits" / "sample.json").read_text()
        ours, theirs = (one.ok("predict", "digits", "-d", sample) for one in (home, other))
        assert ours == theirs


def _versions(home: Home) -> dict[str, int]:
    return {one["name"]: one["versions"] for one in home.json("models")}


def _ledger(home: Path) -> list[str]:
    with closing(SqliteJournal(home / "journal.db")) as journal:
        return [one.message for one in journal.entries(type="ledger")]
