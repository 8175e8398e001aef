"""Every line that the doctor can say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipway.doctor import Facts, Line, judge
from shipway.doctor.facts import (
    Cgroups,
    Database,
    Disk,
    Gateway,
    Home,
    Hub,
    Interpreter,
    Limits,
    Listener,
    Package,
    Pip,
    Place,
    Ports,
    Program,
    Sockets,
    Time,
    Trouble,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIB = 2**30

PYTHON = Interpreter("CPython", (3, 11, 7), 64, "glibc 2.36", "/venv/bin/python", True)
DISK = Disk("/home", 50 * GIB, 100 * GIB, 900_000, 1_000_000)
HOME = Home("/home", True, 1000, 0o700, True, "ext4")
SOCKETS = Sockets("/home/run", 70, 100, 1000, 0o700)
TIME = Time(NOW, 0.0, True, NOW - timedelta(minutes=1))
PORTS = Ports(8100, False, None, True)
GATEWAY = Gateway(envoy=True, live=True, url="http://127.0.0.1:8100", wanted=True)

WELL = Facts(
    uid=1000,
    shipway="1.0",
    interpreter=PYTHON,
    packages=(Package("click>=8.1", "8.2", True),),
    envoy=Program("/envoy", "Envoy 1.36.0"),
    uv=Program("/uv", "uv 0.5"),
    cgroups=Cgroups(2, ("cpu", "memory"), {}),
    disks=(DISK,),
    ports=PORTS,
    sockets=SOCKETS,
    time=TIME,
    limits=Limits(4096, None, None),
    home=HOME,
    store=Database("/home/store.db", 3),
    journal=Database("/home/journal.db", 9),
    hub=Hub(True, version="1.0", pid=7),
    gateway=GATEWAY,
    pip=Pip(("https://pypi.org/simple",), False),
    clusters=(Place("local", True, "2 CPUs"),),
)
PROBES = [one for one in Facts.__slots__ if one not in ("uid", "shipway")]

# What is found, the state of its line, and words that must be in it or in what is to be done.
CASES: list[tuple[str, Any, str, str]] = [
    ("interpreter", PYTHON, "ok", "CPython 3.11.7, 64 bit, glibc 2.36, in a virtual environment: /venv/bin/python"),
    ("interpreter", replace(PYTHON, version=(3, 10, 1)), "missing", "Python 3.11 or newer"),
    ("interpreter", replace(PYTHON, bits=32), "missing", "64-bit"),
    ("interpreter", replace(PYTHON, libc="musl"), "degraded", "wheels for musl"),
    ("interpreter", replace(PYTHON, libc=""), "ok", "unknown libc"),
    ("interpreter", replace(PYTHON, virtual=False), "degraded", "a virtual environment keeps them apart"),
    ("packages", (Package("click>=8.1", None, False),), "missing", "click>=8.1 is not installed"),
    ("packages", (Package("click>=8.1", "8.0", False),), "missing", "click>=8.1 is required, 8.0 is installed"),
    ("envoy", Trouble("it is not there"), "missing", "does not run: it is not there"),
    ("uv", Trouble("exit code 1"), "missing", "pip install --force-reinstall shipway"),
    ("pip", Pip((), True), "degraded", "no-index without find-links"),
    ("pip", Pip(("/wheels",), True), "ok", "packages come from /wheels"),
    ("proxies", ("HTTPS_PROXY",), "ok", "set: HTTPS_PROXY"),
    ("cgroups", Cgroups(1, (), {"cpu": "x", "memory": "y"}), "degraded", "cpu limits are not enforced: x; memory"),
    ("limits", Limits(256, 512, None), "degraded", "ulimit -n 4096"),
    ("limits", Limits(4096, None, 100), "degraded", "ulimit -u 2048"),
    ("time", replace(TIME, newest=NOW + timedelta(hours=1)), "degraded", "ends 3600 s later: the clock went back"),
    ("time", replace(TIME, leap=-3600.0), "degraded", "leapt by -3600.0 s"),
    ("time", replace(TIME, synchronised=False), "degraded", "not synchronised"),
    ("time", replace(TIME, synchronised=None), "ok", "does not say"),
    ("time", replace(TIME, newest=None), "ok", "2026-01-01 00:00:00 UTC"),
    ("home", replace(HOME, exists=False), "ok", "the first hub makes it"),
    ("home", replace(HOME, exists=False, writable=False), "missing", "cannot be made here"),
    ("home", replace(HOME, uid=0), "missing", "belongs to user 0, we are 1000"),
    ("home", replace(HOME, writable=False), "missing", "cannot be written"),
    ("home", replace(HOME, mode=0o755), "degraded", "chmod 700 /home"),
    ("home", replace(HOME, file_system="tmpfs"), "degraded", "gone after a reboot"),
    ("home", replace(HOME, file_system="nfs4"), "degraded", "local disk"),
    ("home", replace(HOME, file_system=""), "ok", "an unknown file system"),
    ("disks", (replace(DISK, free=50 * 2**20),), "missing", "50 MiB of 100.0 GiB free at /home"),
    ("disks", (replace(DISK, free_inodes=10),), "missing", "10 of 1000000 inodes"),
    ("disks", (replace(DISK, free=GIB // 2, size=GIB),), "degraded", "512 MiB of 1.0 GiB"),
    ("disks", (replace(DISK, free=4 * GIB),), "degraded", "Free some space soon"),
    ("disks", (replace(DISK, free_inodes=40_000),), "degraded", "40000 of 1000000 inodes"),
    ("disks", (replace(DISK, free_inodes=0, inodes=0),), "ok", "50.0 GiB of 100.0 GiB free at /home"),
    ("sockets", replace(SOCKETS, longest=120), "missing", "120 of 100 bytes"),
    ("sockets", replace(SOCKETS, uid=0), "missing", "belongs to user 0, we are 1000"),
    ("sockets", replace(SOCKETS, mode=0o755), "degraded", "chmod 700 /home/run"),
    ("sockets", replace(SOCKETS, uid=None, mode=None), "ok", "/home/run"),
    ("store", Database("/s", None), "ok", "there is none yet"),
    ("store", Database("/s", None, "malformed"), "missing", "/s cannot be read: malformed"),
    ("journal", Database("/j", None, "malformed"), "missing", "shipway hub repair"),
    ("hub", Hub(False), "ok", "none runs"),
    ("hub", Hub(False, hangs=True, pid=7), "missing", "kill -9 7 harms no workload"),
    ("hub", Hub(False, hangs=True), "missing", "hub.log"),
    ("hub", Hub(True, version="0.9", pid=7), "degraded", "version 0.9 runs (pid 7), this is 1.0"),
    ("ports", replace(PORTS, port=None), "ok", "8100 to 8199"),
    ("ports", PORTS, "ok", "gateway 8100, nobody listens"),
    ("ports", replace(PORTS, listener=Listener(True, "envoy, pid 9")), "ok", "ours: envoy, pid 9"),
    ("ports", replace(PORTS, listener=Listener(False, "nginx")), "degraded", "URLs of services change"),
    ("ports", replace(PORTS, asked=True, listener=Listener(False, "nginx")), "missing", "SHIPWAY_GATEWAY_PORT"),
    ("gateway", GATEWAY, "ok", "serves the latest table at http://127.0.0.1:8100"),
    ("gateway", Gateway(envoy=True), "ok", "without a hub nobody can say"),
    ("gateway", Gateway(envoy=False), "ok", "not needed"),
    ("gateway", Gateway(envoy=False, wanted=True), "missing", "shipway hub start"),
    ("gateway", Gateway(envoy=False, live=False, reason="Idle"), "ok", "not needed"),
    ("gateway", replace(GATEWAY, live=False, reason="Rejected", message="why"), "degraded", "Rejected why"),
    ("gateway", Gateway(envoy=False, live=False, reason="Unreachable", wanted=True), "missing", "Unreachable"),
    ("clusters", (), "ok", "the first hub adds local"),
    ("clusters", (Place("gpu", False, "Forbidden"),), "degraded", "gpu: Forbidden"),
    ("registries", (), "ok", "none configured"),
]


@pytest.mark.parametrize("probe, found, state, words", CASES)
def test_a_line(probe: str, found: Any, state: str, words: str) -> None:
    topic = {"disks": "disk", "proxies": "proxy"}.get(probe, probe)
    lines = [one for one in judge(replace(WELL, **{probe: found})) if one.topic == topic]
    assert [one.state for one in lines] == [state]
    assert words in f"{lines[0].found} {lines[0].next_step}"
    assert bool(lines[0].next_step) == (state != "ok"), "what to do, where something is to be done"


def test_all_is_well() -> None:
    assert {one.state for one in judge(WELL)} == {"ok"}


def test_a_loopback_that_is_down_has_its_own_line() -> None:
    lines = [one for one in judge(replace(WELL, ports=replace(PORTS, loopback=False))) if one.topic == "ports"]
    assert [one.state for one in lines] == ["missing", "ok"]


def test_each_disk_has_a_line() -> None:
    lines = judge(replace(WELL, disks=(DISK, replace(DISK, path="/cache", free=0))))
    assert [one.state for one in lines if one.topic == "disk"] == ["ok", "missing"]


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_that_failed_is_a_line_and_not_a_traceback(probe: str) -> None:
    failed: dict[str, Any] = {probe: Trouble("PermissionError: no")}
    lines = judge(replace(WELL, **failed))
    (line,) = [one for one in lines if "PermissionError: no" in one.found]
    assert line.state == ("missing" if probe in ("envoy", "uv") else "degraded")
    assert len(lines) == len(judge(WELL))


def test_a_line_as_json() -> None:
    assert Line("hub", "ok", "x").to_json() == {"topic": "hub", "state": "ok", "found": "x", "nextStep": ""}
