"""Looking at homes in every condition; nothing is made and nothing is changed."""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shipway.doctor import Facts, gather, judge, look
from shipway.doctor.facts import Database, Gateway, Home, Hub, Ports, Sockets, Time, Trouble
from shipway.journal.sqlite import SqliteJournal
from shipway.ports import MetricPoint
from shipway.settings import Settings
from tests.doctor.homes import NOW, QUIET, home_of, tree, write_entry

pytestmark = pytest.mark.slow  # a look starts Envoy, uv and pip for their versions


def states(facts: Facts, *topics: str) -> list[str]:
    return [one.state for one in judge(facts) if one.topic in topics]


def test_a_home_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    where = Settings(home=tmp_path / "deep" / "home")
    facts = look(where, {**QUIET, "https_proxy": "http://u:secret@proxy", "NO_PROXY": ""})
    assert list(tmp_path.iterdir()) == []
    assert not [one for one in Facts.__slots__ if isinstance(getattr(facts, one), Trouble)]
    assert isinstance(facts.home, Home) and not facts.home.exists and facts.home.writable
    assert facts.proxies == ("https_proxy",)
    assert (facts.hub, facts.gateway) == (Hub(False), Gateway(envoy=False))
    assert "missing" not in states(facts, "home", "store", "journal", "hub", "gateway", "sockets", "envoy", "uv")


def test_whether_a_gateway_is_needed_nobody_can_say_of_a_damaged_store(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    where.store.write_bytes(b"no database at all" * 100)
    assert isinstance(look(where, QUIET).gateway, Trouble)


def test_a_home_whose_hub_is_dead(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    before = tree(where.home)
    facts = look(where, QUIET)
    assert tree(where.home) == before
    assert facts.store == Database(str(where.store), 1)
    assert facts.journal == Database(str(where.journal), 1)
    assert isinstance(facts.home, Home) and facts.home.mode == 0o700


def test_what_a_killed_hub_wrote_last_is_read(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    writer = sqlite3.connect(where.journal)
    try:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE sqlite_sequence SET seq = 7 WHERE name = 'entries'")
        writer.commit()
        assert where.journal.with_name("journal.db-wal").exists()
        assert look(where, QUIET).journal == Database(str(where.journal), 1)
    finally:
        writer.close()


def test_a_damaged_store_is_named_and_all_else_is_told(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    where.store.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)
    facts = look(where, QUIET)
    assert isinstance(facts.store, Database) and facts.store.damage
    assert states(facts, "store", "journal") == ["missing", "ok"]
    assert states(facts, "clusters") == ["degraded"]


def test_the_change_log_and_the_metrics_are_looked_at_too(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    with closing(SqliteJournal(where.journal)) as journal:
        journal.record([MetricPoint("ModelJob/digits", "run-1", "loss", 0.5, NOW)])
    where.journal.write_bytes(where.journal.read_bytes().replace(b"run-1", b"run-9"))
    with closing(sqlite3.connect(where.store)) as connection, connection:
        connection.execute("UPDATE changes SET object = object || ' '")
    facts = look(where, QUIET)
    assert isinstance(facts.store, Database) and "of changes does not match" in facts.store.damage
    assert isinstance(facts.journal, Database) and "of points does not match" in facts.journal.damage


def test_a_flipped_letter_in_a_row_is_found(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    text = where.store.read_bytes()
    where.store.write_bytes(text.replace(b"plain-value-of-env", b"plain-value-of-enw"))
    facts = look(where, QUIET)
    assert isinstance(facts.store, Database) and "checksum" in facts.store.damage


def test_a_clock_that_went_back_is_seen_in_the_journal(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    facts = look(where, QUIET)
    assert isinstance(facts.time, Time) and facts.time.newest == NOW
    write_entry(where, facts.time.now + timedelta(hours=2), "from the future")
    later = look(where, QUIET)
    assert states(later, "time") == ["degraded"]


def test_a_hub_that_hangs_is_named_by_its_lock(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    with where.hub_lock.open("w") as held:
        held.write("4711")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        facts = look(where, QUIET)
    assert facts.hub == Hub(False, hangs=True, pid=4711)


def test_the_gateways_port_with_a_stranger_on_it(tmp_path: Path) -> None:
    where = home_of(tmp_path)
    where.gateway.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (where.gateway / "port").write_text(str(port))
        facts = look(where, QUIET)
        asked = look(replace(where, gateway_port=port), QUIET)
    assert isinstance(facts.ports, Ports) and facts.ports.listener is not None
    assert not facts.ports.listener.ours
    assert f"pid {os.getpid()}" in facts.ports.listener.who
    assert (states(facts, "ports"), states(asked, "ports")) == (["degraded"], ["missing"])


def test_the_sockets_of_a_long_home_lie_elsewhere(tmp_path: Path) -> None:
    where = Settings(home=tmp_path / ("long" * 30))
    facts = look(where, QUIET)
    assert isinstance(facts.sockets, Sockets)
    assert facts.sockets.longest <= facts.sockets.limit
    assert facts.sockets.uid is None
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_does_not_run_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "uv"
    bad.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    bad.chmod(0o700)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(bad))
    facts = look(Settings(home=tmp_path / "home", temporary=tmp_path), QUIET)
    assert isinstance(facts.uv, Trouble)
    assert "ended with 3: broken" in facts.uv.words
    assert states(facts, "uv") == ["missing"]


@pytest.mark.parametrize(
    "path, found",
    [("/", "ext4"), ("/mnt/nfs/home", "nfs4"), ("/mnt/nfsx", "ext4"), ("/a b/c", "tmpfs"), ("/twice/x", "xfs")],
)
def test_the_file_system_of_a_path(path: str, found: str) -> None:
    mounts = r"""22 1 0:20 / / rw - ext4 /dev/root rw
23 22 0:21 / /mnt/nfs rw - nfs4 server:/ rw
24 22 0:22 / /a\040b rw - tmpfs tmpfs rw
25 22 0:23 / /twice rw - tmpfs tmpfs rw
26 22 0:24 / /twice rw - xfs /dev/b rw"""
    assert gather.file_system(Path(path), mounts) == found
