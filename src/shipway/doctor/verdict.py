"""From facts to lines: ``judge(facts) -> lines``. Pure.

``missing``: Shipway does not work like this. ``degraded``: it works, and something will surprise you. The bounds of
disk and limits are ours: a hub with one model needs some 200 MiB, a service some 20 open files a replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeVar

from shipway.doctor.facts import (
    Cgroups,
    Database,
    Disk,
    Facts,
    Gateway,
    Home,
    Hub,
    Interpreter,
    Limits,
    Package,
    Pip,
    Place,
    Ports,
    Program,
    Sockets,
    Time,
    Trouble,
)

_OLDEST_PYTHON = (3, 11)
_LITTLE_ROOM, _NO_ROOM = 2**30, 100 * 2**20  # bytes
_LITTLE_SHARE = 0.05  # of bytes, and of inodes
_NO_INODES = 1000
_FEW_FILES, _FEW_PROCESSES = 1024, 512
_LEAP = 0.5  # seconds
_AHEAD = timedelta(seconds=5)  # how far the journal may be ahead: two machines' clocks on one home

_GONE_AFTER_A_REBOOT = ("tmpfs", "ramfs")
_SHARED = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre")
_AGAIN = "Install Shipway again: pip install --force-reinstall shipway"

State = Literal["ok", "degraded", "missing"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """What is so, and what to do where it is not ``ok``."""

    topic: str
    state: State
    found: str
    next_step: str = ""

    def to_json(self) -> dict[str, str]:
        """As ``shipway doctor -o json`` prints it."""
        return {"topic": self.topic, "state": self.state, "found": self.found, "nextStep": self.next_step}


def judge(facts: Facts) -> tuple[Line, ...]:
    """A line or more for each topic, in the order of a start from nothing."""

    def of(topic: str, found: T | Trouble, verdict: Callable[[T], Iterable[Line]]) -> Iterable[Line]:
        if isinstance(found, Trouble):
            return (Line(topic, "degraded", f"cannot be told: {found.words}", "See whether the message says why."),)
        return verdict(found)

    groups = (
        of("interpreter", facts.interpreter, _interpreter),
        of("packages", facts.packages, _packages),
        _program("envoy", facts.envoy),
        _program("uv", facts.uv),
        of("pip", facts.pip, _pip),
        of("proxy", facts.proxies, _proxies),
        of("cgroups", facts.cgroups, _cgroups),
        of("limits", facts.limits, _limits),
        of("time", facts.time, _time),
        of("home", facts.home, lambda home: _home(home, facts.uid)),
        of("disk", facts.disks, _disks),
        of("sockets", facts.sockets, lambda sockets: _sockets(sockets, facts.uid)),
        of("store", facts.store, lambda found: _database("store", found)),
        of("journal", facts.journal, lambda found: _database("journal", found)),
        of("hub", facts.hub, lambda hub: _hub(hub, facts.shipway)),
        of("ports", facts.ports, _ports),
        of("gateway", facts.gateway, _gateway),
        of("clusters", facts.clusters, lambda found: _places("clusters", found, "none yet: the first hub adds local")),
        of("registries", facts.registries, lambda found: _places("registries", found, "none configured")),
    )
    return tuple(line for group in groups for line in group)


def _interpreter(found: Interpreter) -> Iterator[Line]:
    version = ".".join(str(part) for part in found.version)
    where = "in a virtual environment" if found.virtual else "not in a virtual environment"
    words = f"{found.implementation} {version}, {found.bits} bit, {found.libc or 'unknown libc'}, {where}"
    words = f"{words}: {found.executable}"
    if found.version[:2] < _OLDEST_PYTHON:
        yield Line("interpreter", "missing", words, "Install Shipway with Python 3.11 or newer.")
    elif found.bits != 64:
        yield Line("interpreter", "missing", words, "Install Shipway with a 64-bit Python: Envoy has no other wheel.")
    elif found.libc.startswith("musl"):
        yield Line("interpreter", "degraded", words, "Many packages have no wheels for musl: prefer a glibc system.")
    elif not found.virtual:
        next_step = "Another `pip install` may change Shipway's packages: a virtual environment keeps them apart."
        yield Line("interpreter", "degraded", words, next_step)
    else:
        yield Line("interpreter", "ok", words)


def _packages(found: tuple[Package, ...]) -> Iterator[Line]:
    for one in found:
        if one.found is None:
            yield Line("packages", "missing", f"{one.wanted} is not installed", _AGAIN)
        elif not one.satisfied:
            yield Line("packages", "missing", f"{one.wanted} is required, {one.found} is installed", _AGAIN)
    if all(one.satisfied for one in found):
        yield Line("packages", "ok", f"all {len(found)} at versions that satisfy Shipway's requirements")


def _program(topic: str, found: Program | Trouble) -> Iterator[Line]:
    if isinstance(found, Trouble):
        yield Line(topic, "missing", f"does not run: {found.words}", _AGAIN)
    else:
        yield Line(topic, "ok", f"{found.version}: {found.path}")


def _pip(found: Pip) -> Iterator[Line]:
    places = ", ".join(found.sources) or "nowhere"
    if found.no_index and not found.sources:
        next_step = "pip has no-index without find-links: nothing can be installed; see `pip config list`."
        yield Line("pip", "degraded", "packages come from nowhere", next_step)
    else:
        yield Line("pip", "ok", f"packages come from {places}")


def _proxies(found: tuple[str, ...]) -> Iterator[Line]:
    yield Line("proxy", "ok", f"set: {', '.join(found)}" if found else "no proxy variable is set")


def _cgroups(found: Cgroups) -> Iterator[Line]:
    if found.missing:
        why = "; ".join(f"{name} limits are not enforced: {reason}" for name, reason in sorted(found.missing.items()))
        next_step = "Services run without them. Run the hub where its user may write cgroups (systemd: Delegate=yes)."
        yield Line("cgroups", "degraded", f"version {found.version}; {why}", next_step)
    else:
        yield Line("cgroups", "ok", f"version {found.version}; limits of {' and '.join(found.enforced)} are enforced")


def _limits(found: Limits) -> Iterator[Line]:
    files, processes = _number(found.files), _number(found.processes)
    words = f"{files} open files (at most {_number(found.most_files)}), {processes} processes"
    if found.files is not None and found.files < _FEW_FILES:
        yield Line("limits", "degraded", words, f"Allow more before the hub starts: ulimit -n {4 * _FEW_FILES}")
    elif found.processes is not None and found.processes < _FEW_PROCESSES:
        yield Line("limits", "degraded", words, f"Allow more before the hub starts: ulimit -u {4 * _FEW_PROCESSES}")
    else:
        yield Line("limits", "ok", words)


def _number(limit: int | None) -> str:
    return "unlimited" if limit is None else str(limit)


def _time(found: Time) -> Iterator[Line]:
    now = f"{found.now:%Y-%m-%d %H:%M:%S} UTC"
    ahead = found.newest - found.now if found.newest is not None else timedelta()
    if ahead > _AHEAD:
        words = f"{now}, and the journal ends {ahead.total_seconds():.0f} s later: the clock went back"
        yield Line("time", "degraded", words, "Set the clock; ages and past times are wrong until it catches up.")
    elif abs(found.leap) > _LEAP:
        words = f"{now}; it leapt by {found.leap:+.1f} s while we looked"
        yield Line("time", "degraded", words, "Something sets the clock in steps: let NTP slew it.")
    elif found.synchronised is False:
        next_step = "Start a time service (timedatectl set-ntp true), unless the machine is offline on purpose."
        yield Line("time", "degraded", f"{now}; the kernel's clock is not synchronised", next_step)
    else:
        known = "synchronised" if found.synchronised else "the kernel does not say whether it is synchronised"
        yield Line("time", "ok", f"{now}, {known}")


def _home(found: Home, uid: int) -> Iterator[Line]:
    mode = f"{found.mode:04o}"
    if not found.exists:
        if found.writable:
            yield Line("home", "ok", f"{found.path} does not exist yet: the first hub makes it")
        else:
            yield Line("home", "missing", f"{found.path} cannot be made here", "Set SHIPWAY_HOME to a place of yours.")
        return
    words = f"{found.path}, mode {mode}, on {found.file_system or 'an unknown file system'}"
    if found.uid != uid:
        next_step = "Run as its owner, or set SHIPWAY_HOME to a folder of your own."
        yield Line("home", "missing", f"{words}; it belongs to user {found.uid}, we are {uid}", next_step)
    elif not found.writable:
        yield Line("home", "missing", f"{words}; it cannot be written", "Mount it for writing, or set SHIPWAY_HOME.")
    elif found.mode & 0o077:
        next_step = f"chmod 700 {found.path}; the next hub does it too"
        yield Line("home", "degraded", f"{words}: others can read it", next_step)
    elif found.file_system in _GONE_AFTER_A_REBOOT:
        yield Line("home", "degraded", f"{words}: models are gone after a reboot", "Set SHIPWAY_HOME to a disk.")
    elif found.file_system in _SHARED:
        next_step = "Set SHIPWAY_HOME to a local disk: SQLite and locks cannot be trusted on a shared one."
        yield Line("home", "degraded", words, next_step)
    else:
        yield Line("home", "ok", words)


def _disks(found: tuple[Disk, ...]) -> Iterator[Line]:
    for disk in found:
        words = f"{_size(disk.free)} of {_size(disk.size)} free at {disk.path}"
        inodes = f"{words}, {disk.free_inodes} of {disk.inodes} inodes" if disk.inodes else words
        few = disk.inodes and disk.free_inodes < disk.inodes * _LITTLE_SHARE
        if disk.free < _NO_ROOM or (disk.inodes and disk.free_inodes < _NO_INODES):
            yield Line("disk", "missing", inodes, "Free some space: nothing can be packed or installed.")
        elif disk.free < _LITTLE_ROOM or disk.free < disk.size * _LITTLE_SHARE or few:
            yield Line("disk", "degraded", inodes, "Free some space soon; docs/retention.md says what may be deleted.")
        else:
            yield Line("disk", "ok", inodes)


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _sockets(found: Sockets, uid: int) -> Iterator[Line]:
    words = f"{found.folder}, longest path {found.longest} of {found.limit} bytes"
    if found.longest > found.limit:
        yield Line("sockets", "missing", words, "Set SHIPWAY_HOME to a shorter path.")
    elif found.uid is not None and found.uid != uid:
        next_step = "Remove it, or set SHIPWAY_HOME to a shorter path, so that sockets lie in the home."
        yield Line("sockets", "missing", f"{words}; it belongs to user {found.uid}, we are {uid}", next_step)
    elif found.mode is not None and found.mode & 0o077:
        yield Line("sockets", "degraded", f"{words}, mode {found.mode:04o}", f"chmod 700 {found.folder}")
    else:
        yield Line("sockets", "ok", words)


def _database(topic: str, found: Database) -> Iterator[Line]:
    if found.damage:
        next_step = "shipway hub repair shows what can be saved"
        yield Line(topic, "missing", f"{found.path} cannot be read: {found.damage}", next_step)
    elif found.rows is None:
        yield Line(topic, "ok", "there is none yet")
    else:
        rows = {"store": "objects", "journal": "entries"}[topic]
        yield Line(topic, "ok", f"{found.rows} {rows}: {found.path}")


def _hub(found: Hub, ours: str) -> Iterator[Line]:
    if found.hangs:
        who = f"pid {found.pid}" if found.pid is not None else "its pid is not known"
        next_step = f"kill -9 {found.pid} harms no workload" if found.pid is not None else "Read hub.log in the home."
        yield Line("hub", "missing", f"it has the home and does not answer ({who})", next_step)
    elif not found.answers:
        yield Line("hub", "ok", "none runs: commands that change something start it")
    elif found.version != ours:
        words = f"version {found.version} runs (pid {found.pid}), this is {ours}"
        yield Line("hub", "degraded", words, "shipway hub stop; shipway hub start (workloads go on)")
    else:
        yield Line("hub", "ok", f"version {found.version} answers, pid {found.pid}")


def _ports(found: Ports) -> Iterator[Line]:
    if not found.loopback:
        yield Line("ports", "missing", "a connection to 127.0.0.1 does not arrive", "Bring up lo: ip link set lo up")
    if found.port is None:
        yield Line("ports", "ok", "the first hub chooses the gateway's: 8100 to 8199, or any that is free")
        return
    words = f"gateway {found.port}{' (SHIPWAY_GATEWAY_PORT)' if found.asked else ''}"
    if found.listener is None:
        yield Line("ports", "ok", f"{words}, nobody listens: it is free for Envoy")
    elif found.listener.ours:
        yield Line("ports", "ok", f"{words}, ours: {found.listener.who}")
    else:
        taken = f"{words} is taken by {found.listener.who}"
        if found.asked:
            yield Line("ports", "missing", taken, "Stop that program, or set SHIPWAY_GATEWAY_PORT to a free port.")
        else:
            yield Line("ports", "degraded", taken, "The next hub chooses another port: URLs of services change.")


def _gateway(found: Gateway) -> Iterator[Line]:
    said = f"{found.reason} {found.message}".strip()
    if found.live:
        yield Line("gateway", "ok", f"Envoy lives and serves the latest table at {found.url}")
    elif found.live is None and found.envoy:
        yield Line("gateway", "ok", "Envoy lives; without a hub nobody can say whether its table is the latest")
    elif found.live is None or not found.wanted:
        state: State = "missing" if found.wanted else "ok"
        words = "Envoy does not run, and there are routes" if found.wanted else "not needed: no service has a route"
        yield Line("gateway", state, words, "shipway hub start brings it up" if found.wanted else "")
    elif found.envoy:
        next_step = "The table before goes on; hub.log and gateway/envoy.log in the home say more."
        yield Line("gateway", "degraded", f"Envoy lives and does not serve the latest table: {said}", next_step)
    else:
        yield Line("gateway", "missing", f"Envoy does not answer: {said}", "Read gateway/envoy.log in the home.")


def _places(topic: str, found: tuple[Place, ...], none: str) -> Iterator[Line]:
    if not found:
        yield Line(topic, "ok", none)
    for one in found:
        words = f"{one.name}{f': {one.message}' if one.message else ''}"
        yield Line(topic, "ok" if one.ready else "degraded", words, "" if one.ready else f"shipway get {topic}")
