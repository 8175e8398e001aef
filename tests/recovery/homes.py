"""Homes with a store, a journal and a version, made without a hub."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from shipway import home
from shipway.clock import SystemClock
from shipway.journal.sqlite import SqliteJournal
from shipway.kinds import Model, ModelJob
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from shipway.ports import Entry
from shipway.settings import Settings
from shipway.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(folder: Path) -> Settings:
    """A home as a hub leaves it: two objects, a line of the journal, the version ``digits:1`` and a port."""
    where = Settings(folder / "home", temporary=folder)
    home.own(where)
    with closing(SqliteStore(where.store, lambda: NOW)) as store:
        store.put(Model.model_validate({"metadata": {"name": "digits"}, "spec": {"description": "ten digits"}}))
        store.put(ModelJob.model_validate({"metadata": {"name": "train"}, "spec": {"command": ["python", "t.py"]}}))
    with closing(SqliteJournal(where.journal)) as journal:
        journal.append(Entry("ledger", "Model/digits", "ChampionMoved", "champion is digits:1 now", NOW))
        journal.append(Entry("event", "Model/digits", "Reason", "a second line", NOW))
    (folder / "files").mkdir()
    (folder / "files" / "weights.bin").write_bytes(b"\x01\x02" * 5000)
    versions = Versions(Layout(where.oci), SystemClock())
    versions.pack("digits", folder / "files", Lineage(origin="import", source="sha256:" + "0" * 64, created_at=NOW))
    where.gateway.mkdir(mode=0o700)
    (where.gateway / "port").write_text("8100")
    return where


def flip(path: Path, near: bytes, after: int = 0) -> None:
    """Change one bit of the byte that lies ``after`` bytes behind the last place with these bytes."""
    content = bytearray(path.read_bytes())
    at = content.rindex(near) + after
    content[at] ^= 1
    path.write_bytes(content)
