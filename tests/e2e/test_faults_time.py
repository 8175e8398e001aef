"""Time goes wrong: the hub is stopped, the whole machine sleeps, somebody sets the clock."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.faults import (
    Trained,
    command,
    entries,
    hub_of,
    kill,
    nothing_twice,
    own_answers,
    own_server,
    phase_is,
    replica_pids,
    the,
    version_of,
    watched,
    whole,
    workload_status,
)
from tests.e2e.home import Home, Load, eventually, post, told

SLEEP = 11.0  # seconds: longer than every probe of these projects allows, and than the deadline below
DEADLINE = 10.0


class Slow:
    """A server of the user's own whose next edition is ready when the test lets it."""

    def __init__(self, home: Home) -> None:
        self.project = own_server(home)
        self.gate = home.projects / "own.gate"
        waits = f"while not Path({str(self.gate)!r}).exists():\n    time.sleep(0.01)\n"
        self.project.edit("server.py", "import json, os\n", f"import json, os, time\nfrom pathlib import Path\n{waits}")
        rollout = f"  replicas: 2\n  rollout: {{progressDeadline: {DEADLINE:g}}}\n"
        self.project.edit("shipway.yaml", "  replicas: 2\n", rollout)
        self.gate.touch()

    def change(self) -> None:
        self.gate.unlink()
        self.project.edit("server.py", '"edition": 1,', '"edition": 2,')


def starts(home: Home, workload: str) -> list[int]:
    """The processes of its replicas when all have started, and how often each had to."""
    seen = workload_status(home, workload)["replicas"]
    return [one["pid"] for one in seen] if len(seen) == 2 and all(one["pid"] for one in seen) else []


def test_a_laptop_sleeps(home: Home) -> None:
    """In the middle of a rollout, with every process: when the lid opens, nothing failed and nothing is restarted."""
    own = Slow(home)
    home.ok("up", own.project.folder)
    before = replica_pids(home, whole(home, "own"))
    own.change()
    with command(home, "up", own.project.folder) as finish:
        starting = eventually(lambda: _started(home, "own-00002"), what="the new revision starts")
        asleep = home.processes()
        for one in asleep:
            kill(one, signal.SIGSTOP)
        try:
            time.sleep(SLEEP)
        finally:
            for one in asleep:
                kill(one, signal.SIGCONT)
        eventually(lambda: post(home.url("own"), {}).status == 200, what="it answers")
        assert replica_pids(home, "own-00001") == before
        time.sleep(1.0)  # for what would be given up now
        assert starts(home, "own-00002") == starting, "what slept was not ended"
        own.gate.touch()
        assert "own-00002" in finish()
    assert whole(home, "own") == "own-00002"
    assert replica_pids(home, "own-00002") == starting
    assert entries(home, "Gateway/gateway", "event") == []


def _started(home: Home, workload: str) -> list[int]:
    try:
        return starts(home, workload)
    except OSError:
        return []


def test_the_hub_is_stopped_for_longer_than_anything_waits(home: Home) -> None:
    """A job ends and a rollout waits meanwhile: both go on where they stood, once; whoever asks is told what to do."""
    line, own = Trained(home), Slow(home)
    for project in (line.folder, own.project.folder):
        home.ok("apply", "-f", project / "shipway.yaml")
    eventually(lambda: line.starts, what="training began")
    whole(home, "own")
    own.change()
    home.ok("apply", "-f", own.project.folder / "shipway.yaml")
    starting = eventually(lambda: _started(home, "own-00002"), what="the new revision starts")
    with Load(home.url("own"), {}, own_answers, threads=4) as load:
        hub = the(home, "hub")
        kill(hub, signal.SIGSTOP)
        try:
            line.let_go()
            refused = home.shipway("up", line.folder)  # some 20 s
            assert refused.returncode == 5 and f"kill -9 {hub.pid}" in told(refused), told(refused)
        finally:
            kill(hub, signal.SIGCONT)
        own.gate.touch()
        home.ok("up", own.project.folder)
        home.ok("up", line.folder)
        assert whole(home, "own") == "own-00002"
        load.more()
    assert load.bad == []
    assert (home.hub_pid(), replica_pids(home, "own-00002"), len(line.starts)) == (hub.pid, starting, 1)
    whole(home, "line")
    nothing_twice(home, "line", runs=1)


@contextmanager
def skewed_hub(home: Home) -> Iterator[Path]:
    """The home's hub, and the file with the seconds by which its clock is off."""
    offset = home.projects / "offset"
    offset.write_text("0")
    program = Path(__file__).with_name("skewed_hub.py")
    with (home.projects / "skewed.log").open("w") as log:
        hub = subprocess.Popen(
            [sys.executable, program, offset], env=home.variables(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        eventually(lambda: home.shipway("hub", "status").returncode == 0, what="the hub answers")
        yield offset
    finally:
        home.shipway("down", "--all")
        home.shipway("hub", "stop")
        hub.wait(timeout=30.0)


@pytest.mark.parametrize("leap", [3600, -3600], ids=["forward", "back"])
def test_somebody_sets_the_clock(home: Home, leap: int) -> None:
    """By an hour, while a job waits for its second attempt and while a rollout waits for its server."""
    with skewed_hub(home) as offset:
        line, own = Trained(home), Slow(home)
        line.project.edit("shipway.yaml", "code: 0}", "code: 3}\n  retries: 1")
        line.let_go()
        home.ok("up", own.project.folder)
        own.change()
        since = version_of(home)
        with command(home, "up", own.project.folder) as finish:
            starting = eventually(lambda: _started(home, "own-00002"), what="the new revision starts")
            home.ok("apply", "-f", line.folder / "shipway.yaml")
            watched(home, lambda one: one["kind"] == "ModelJob" and _waits(one), since=since)
            offset.write_text(str(leap))
            watched(home, phase_is("ModelJob", "Failed"), since=since)
            assert len(line.starts) == 2
            kill(starting[0])  # so that the rollout is looked at
            eventually(lambda: set(_started(home, "own-00002")) - set(starting), what="its replica starts again")
            assert hub_of(home).get("/apis/shipway.dev/v1alpha1/revisions/own-00002")["status"]["phase"] == "Starting"
            own.gate.touch()
            finish()
        # Also the old revision goes, as it would have: its drain is no hour longer.
        assert whole(home, "own") == "own-00002"


def _waits(job: dict[str, dict[str, dict[str, str]]]) -> bool:
    return bool(job["status"].get("run", {}).get("retryAt"))
