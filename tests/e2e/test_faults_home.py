"""A home in disorder, and its orderly end: stale files, two commands at once, a hub that dies while it prepares."""

from __future__ import annotations

import hashlib
import signal
import socket
from pathlib import Path

import pytest

from shipway.settings import Settings
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
    the,
    whole,
)
from tests.e2e.home import Home, Load, eventually, fresh_home, post
from tests.e2e.slowpoke import sdist


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_hub_that_ends_while_an_environment_is_built(tmp_path: Path, how: signal.Signals) -> None:
    starts, gate, links = tmp_path / "starts", tmp_path / "gate", tmp_path / "links"
    sdist(
        links, f'open({str(starts)!r}, "a").write("x")\nwhile not Path({str(gate)!r}).exists():\n    time.sleep(0.01)'
    )
    with fresh_home(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(links)) as home:
        own = own_server(home)
        own.edit("server.py", "import json, os\n", "import json, os, slowpoke\n")
        own.write("requirements.txt", "slowpoke==1.0\n")
        own.edit("shipway.yaml", "  port: 8080\n", "  port: 8080\n  requirements: requirements.txt\n")
        with command(home, "up", own.folder) as finish:
            eventually(lambda: starts.exists(), what="the build began")
            phases = {one["name"]: one["phase"] for one in hub_of(home).get("/v1/workloads")["workloads"]}
            assert phases["own-00001"] == "Preparing"
            first = the(home, "hub")
            kill(first, how)
            eventually(lambda: set(home.processes("hub")) - {first}, what="the command starts another hub")
            gate.touch()
            finish()
        whole(home, "own")
        eventually(lambda: post(home.url("own"), {}).status == 200)
        assert starts.read_text() in ("x", "xx")
        assert len(home.processes("replica")) == 2, "nothing of the build is left"


def test_rubbish_where_the_socket_and_the_lock_should_be(home: Home) -> None:
    own = own_server(home)
    home.ok("up", own.folder)
    where = Settings(home.path)
    kill_hub(home)
    assert where.hub_socket.is_socket(), "the dead hub left it"
    home.ok("hub", "start")
    home.ok("hub", "stop")
    assert not where.hub_socket.exists()
    where.hub_socket.write_text("rubbish")
    where.hub_lock.write_text("rubbish")
    (where.gateway / "port").write_text("")
    home.ok("up", own.folder)
    whole(home, "own")
    the(home, "hub")


def test_everything_is_killed_at_once(home: Home) -> None:
    """As a power cut does it: what the disk says of processes is of an earlier life."""
    own = own_server(home)
    home.ok("up", own.folder)
    revision = whole(home, "own")
    before = replica_pids(home, revision)
    for process in home.processes():
        kill(process)
    eventually(lambda: home.processes() == [], what="all are dead")
    home.ok("up", own.folder)
    assert post(home.url("own"), {}).status == 200
    assert whole(home, "own") == revision
    assert not set(replica_pids(home, revision)) & set(before)


def test_two_homes_that_start_at_once_have_two_gateways(home: Home) -> None:
    """A port is kept from the moment that it is chosen: Envoy may come minutes later, after a training."""
    with fresh_home() as other:
        for one in (home, other):
            one.ok("hub", "start")
        for one in (other, home):
            one.ok("up", own_server(one).folder)
        assert home.url("own") != other.url("own")
        assert [post(one.url("own"), {}).status for one in (home, other)] == [200, 200]


def test_two_commands_at_once_on_an_empty_home(home: Home) -> None:
    line = Trained(home)
    with command(home, "up", line.folder) as one, command(home, "up", line.folder) as other:
        eventually(lambda: line.starts, what="training began")
        line.let_go()
        assert "line:1" in one() and "line:1" in other()
    assert len(line.starts) == 1
    the(home, "hub")
    whole(home, "line")
    nothing_twice(home, "line", runs=1)


def test_four_starts_at_once_are_one_hub(home: Home) -> None:
    for kill_it in (True, False):
        with (
            command(home, "hub", "start", "-o", "json") as one,
            command(home, "hub", "start", "-o", "json") as two,
            command(home, "hub", "start", "-o", "json") as three,
            command(home, "hub", "start", "-o", "json") as four,
        ):
            assert len({one(), two(), three(), four()}) == 1
        eventually(lambda: len(home.processes("hub")) == 1, what="one hub is left")
        if kill_it:
            kill_hub(home)


def test_down_and_stop_under_load_leave_nothing(home: Home) -> None:
    own = own_server(home)
    home.ok("up", own.folder)
    whole(home, "own")
    ports = [port for _, port in home.listening()]
    assert len(ports) == 3 and {address for address, _ in home.listening()} == {"127.0.0.1"}
    with Load(home.url("own"), {}, own_answers) as load:
        load.more()
        assert load.bad == []
        home.ok("down", "--all")
        assert home.processes("envoy", "supervisor", "replica") == [], "down answers when all is gone"
        home.ok("hub", "stop")
    assert home.processes() == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert [one for one in home.path.rglob("*") if one.is_socket()] == []
    assert cgroups(home) == []
    assert list((home.path / "workloads").iterdir()) == []


def cgroups(home: Home) -> list[Path]:
    """The cgroups of this home, by the name that :mod:`shipway.cluster.local.keeper` gives them."""
    digest = hashlib.sha256(str(home.path).encode()).hexdigest()[:12]
    name = f"shipway-{hashlib.sha256(digest.encode()).hexdigest()[:12]}"
    return [one for one in Path("/sys/fs/cgroup").rglob(name) if one.is_dir()]


def test_the_name_of_the_cgroups_is_still_that(home: Home) -> None:
    """What the test above looks for is there while something runs, where limits are possible at all."""
    home.ok("up", own_server(home).folder)
    limits = hub_of(home).get("/apis/shipway.dev/v1alpha1/clusters/local")["status"]["limits"]
    assert bool(cgroups(home)) == bool(limits)


def test_a_home_with_a_long_path(home: Home) -> None:
    far = Home(home.path.parent / ("far-" * 30) / "home")
    assert len(str(far.path)) > 120
    far.path.parent.mkdir()
    own = own_server(home)
    sockets = Settings(far.path).sockets
    try:
        far.ok("up", own.folder)
        revision = whole(far, "own")
        for folder in (sockets, sockets.parent, sockets / "supervisors"):
            assert folder.stat().st_mode & 0o777 == 0o700, f"{folder} is nobody else's business"
        kill_hub(far)
        far.ok("hub", "start")
        assert whole(far, "own") == revision
        assert post(far.url("own"), {}).status == 200
        assert len(replica_pids(far, revision)) == 2
    finally:
        left = far.end()
    assert left == []
    assert not sockets.exists()


def test_a_project_that_is_gone_when_the_hub_comes_back(home: Home) -> None:
    """From the snapshot on nobody reads the user's folder: neither does the next hub."""
    line = Trained(home)
    with command(home, "up", line.folder) as finish:
        eventually(lambda: line.starts, what="training began")
        for file in line.folder.iterdir():
            file.unlink()
        kill_hub(home)
        line.let_go()
        finish()
    whole(home, "line")
