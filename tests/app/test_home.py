"""Whose the home is, and whose its gateway port is."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway import home
from shipway.cluster.local.supervisor import identity
from shipway.errors import Refused
from shipway.settings import Settings


@pytest.fixture
def where(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("inside", [None, (), ("hub.log", "cache/"), ("store.db", "mine"), ("hub.lock", "mine")])
def test_a_home_is_closed_to_others(where: Settings, inside: tuple[str, ...] | None) -> None:
    if inside is not None:
        where.home.mkdir(mode=0o755)
        for name in inside:
            (where.home / name).mkdir() if name.endswith("/") else (where.home / name).touch()
    home.own(where)
    assert mode(where.home) == mode(where.sockets) == 0o700
    home.own(where)


def test_a_folder_of_something_else_is_left_alone(where: Settings) -> None:
    where.home.mkdir()
    where.home.chmod(0o755)
    (where.home / "thesis.tex").touch()
    with pytest.raises(Refused, match=r"not empty \(thesis\.tex is in it\)") as found:
        home.own(where)
    assert str(where.home) in found.value.message and "SHIPWAY_HOME" in found.value.next_step
    assert mode(where.home) == 0o755
    assert [one.name for one in where.home.iterdir()] == ["thesis.tex"]


def test_the_lock_tells_who_has_it(where: Settings) -> None:
    home.own(where)
    where.hub_lock.write_text("rubbish of an earlier hub")
    with home.only_hub(where) as alone, home.only_hub(where) as second:
        assert (alone, second) == (True, False)
        assert where.hub_lock.read_text() == str(os.getpid())


@pytest.fixture
def taken(where: Settings) -> Iterator[int]:
    """The port that the home remembers; somebody listens there, and a gateway was started once."""
    home.own(where)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    port = int(listener.getsockname()[1])
    where.gateway.mkdir()
    (where.gateway / "port").write_text(str(port))
    (where.workloads / "gateway").mkdir(parents=True)
    with listener:
        yield port


def chosen(where: Settings) -> int:
    with home.gateway_port(where) as kept:
        return kept.port


def write(where: Settings, name: str, document: object) -> None:
    (where.workloads / "gateway" / name).write_text(json.dumps(document))


def test_a_gateway_that_lives_keeps_its_port(where: Settings, taken: int) -> None:
    us = {"pid": os.getpid(), "start_time": identity.start_time(os.getpid())}
    write(where, "supervisor.json", us)
    assert chosen(where) == taken
    write(where, "supervisor.json", {**us, "start_time": 1})
    write(where, "status.json", {"replicas": [us]})  # it lost its supervisor
    assert chosen(where) == taken


def test_after_a_reboot_the_port_may_be_anothers(where: Settings, taken: int) -> None:
    gone = {"pid": os.getpid(), "start_time": 1}
    write(where, "supervisor.json", gone)
    write(where, "status.json", {"replicas": [gone, {"pid": None, "start_time": None}]})
    assert chosen(where) != taken
