"""A disk that is full: what runs goes on, what is asked gets a clear answer, and space is all that it takes to mend."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path

from tests.e2e.faults import (
    Trained,
    command,
    hub_of,
    kill,
    kill_hub,
    nothing_twice,
    own_answers,
    own_server,
    replica_pids,
    supervisor_of,
    whole,
)
from tests.e2e.home import Home, Load, eventually, post, told
from tests.e2e.small_disk import small_disk

MEGABYTE = 2**20
JOB = "/apis/shipway.dev/v1alpha1/modeljobs/line"


def whole_blobs(home: Home) -> None:
    """No blob is half of anything."""
    for blob in (home.path / "oci" / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def nothing_left_over(home: Home) -> None:
    """Nothing lies in the layout that no try is writing any more; asked when none is under way."""
    # A try that failed leaves its lease: for an hour the next one finds what it had.
    kept = {"blobs", "leases"}
    others = [one.name for one in (home.path / "oci").rglob("*") if one.is_file() and not kept.intersection(one.parts)]
    assert set(others) <= {"index.json", "oci-layout", "lock", ".lock", "index.lock"}


def test_full_while_it_packs() -> None:
    with small_disk(24) as (home, disk):
        line = Trained(home, size=4 * MEGABYTE)
        with command(home, "up", line.folder) as finish:
            eventually(lambda: line.starts, what="training began")
            disk.fill(leave=6 * MEGABYTE)  # enough for what the job writes, not for its copy
            line.let_go()
            condition = eventually(lambda: delayed(home), seconds=30.0, what="packing is delayed")
            assert "No space left" in condition["message"] or "disk is full" in condition["message"], condition
            whole_blobs(home)  # a try may be under way, and its file with it
            disk.relieve()
            assert "line:1" in finish()
        whole(home, "line")
        whole_blobs(home)
        nothing_left_over(home)
        nothing_twice(home, "line", runs=1)
        assert len(line.starts) == 1, "it was not trained again"


def delayed(home: Home) -> dict[str, str]:
    conditions: list[dict[str, str]] = hub_of(home).get(JOB)["status"]["conditions"]
    return next((one for one in conditions if one["reason"] == "PackingDelayed"), {})


def test_full_to_the_last_byte_while_services_run() -> None:
    with small_disk(24) as (home, disk):
        own = own_server(home)
        home.ok("up", own.folder)
        revision = whole(home, "own")
        with Load(home.url("own"), {}, own_answers, threads=4) as load:
            disk.fill()
            own.edit("server.py", '"edition": 1,', '"edition": 2,')
            refused = home.shipway("up", own.folder)
            assert refused.returncode != 0 and is_clear(told(refused)), told(refused)
            kill(replica_pids(home, revision)[0])
            load.more(300)
            kill_hub(home)
            refused = home.shipway("up", own.folder)
            assert refused.returncode != 0 and is_clear(told(refused)), told(refused)
            load.more(300)
            disk.relieve()
            home.ok("up", own.folder)
            whole(home, "own")
        assert load.bad == []
        assert post(home.url("own"), {}).json()["edition"] == 2


def is_clear(text: str) -> bool:
    """Whether it says what is wrong, and does not show our insides."""
    says = "is full" in text or "No space left" in text
    return says and "Traceback" not in text


def test_who_is_told_to_end_does_not_wait_for_space() -> None:
    with small_disk(24) as (home, disk):
        own = own_server(home)
        home.ok("up", own.folder)
        revision = whole(home, "own")
        kill_hub(home)
        supervisor, replicas = supervisor_of(home, revision), replica_pids(home, revision)
        disk.fill()
        kill(supervisor, signal.SIGTERM)
        left = {supervisor.pid, *replicas}
        eventually(lambda: not left & {one.pid for one in home.processes()}, seconds=20.0, what="they end")
        disk.relieve()
        home.ok("hub", "start")
        assert whole(home, "own") == revision


def test_full_of_logs() -> None:
    """The disk is smaller than what the logs of one replica may have."""
    with small_disk(16) as (home, disk):
        loud = own_server(home)
        loud.edit("server.py", "        body =", '        print("x" * 100_000, flush=True)\n        body =')
        home.ok("up", loud.folder)
        revision = whole(home, "own")
        with Load(home.url("own"), {}, own_answers, threads=4) as load:
            eventually(lambda: disk.free < MEGABYTE // 2, seconds=60.0, what="the logs fill the disk")
            load.more(300)
        assert load.bad == []
        logs = home.path / "workloads" / revision / "logs"
        for log in logs.iterdir():
            log.write_bytes(b"")  # what its user can do: the supervisor appends
        eventually(lambda: post(home.url("own"), {}).status == 200 and _logged(logs), what="logging goes on")
        whole(home, "own")


def _logged(logs: Path) -> bool:
    return any(one.stat().st_size for one in logs.iterdir())
