"""Probes of this machine: what runs us, what is installed, what the kernel allows. Each may raise, none changes it."""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from shipway.cluster.local.supervisor import cgroups as local_cgroups
from shipway.doctor.facts import Cgroups, Disk, Interpreter, Limits, Listener, Package, Pip, Program
from shipway.envoy.workload import envoy_binary
from shipway.packages.pip_reader import PipReader

_PATIENCE = 30.0  # seconds that a program may take to say its version
_UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
_LISTEN = "0A"  # proc(5), /proc/net/tcp


def interpreter() -> Interpreter:
    libc, version = platform.libc_ver()
    musl = any(Path("/lib").glob("ld-musl-*")) and not libc
    return Interpreter(
        implementation=platform.python_implementation(),
        version=sys.version_info[:3],
        bits=struct.calcsize("P") * 8,
        libc="musl" if musl else f"{libc} {version}".strip(),
        executable=sys.executable,
        virtual=sys.prefix != sys.base_prefix,
    )


def packages() -> tuple[Package, ...]:
    """Our own requirements for this interpreter, as our metadata has them. Raises where Shipway is not installed."""
    wanted = [Requirement(line) for line in metadata.requires("shipway") or ()]
    return tuple(_package(one) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""}))


def _package(wanted: Requirement) -> Package:
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Package(str(wanted), None, False)
    return Package(str(wanted), found, wanted.specifier.contains(found, prereleases=True))


def envoy() -> Program:
    found = _program(envoy_binary())
    # "envoy  version: 9e55.../1.40.0/Clean/RELEASE/BoringSSL"
    number = re.search(r"/(\d+\.\d+[^/]*)/", found.version)
    return Program(found.path, f"Envoy {number[1]}" if number else found.version)


def uv() -> Program:
    # Not at our own import: a doctor must not need what it looks for.
    return _program(Path(importlib.import_module("uv").find_uv_bin()))


def _program(path: Path) -> Program:
    done = subprocess.run(
        [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    said = lines[0].removeprefix(f"{path}").strip() if lines else ""
    if done.returncode != 0:
        raise OSError(f"{path} --version ended with {done.returncode}: {said}")
    return Program(str(path), said)


def pip(inherited: Mapping[str, str]) -> Pip:
    configuration = PipReader(inherited).read()
    return Pip(configuration.sources(), configuration.no_index)


def proxies(inherited: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, value in inherited.items() if name.lower().endswith("_proxy") and value))


def cgroups() -> Cgroups:
    found = local_cgroups.detect(own=local_cgroups.membership())
    return Cgroups(found.version, tuple(sorted(found.folders)), found.missing)


def limits() -> Limits:
    files, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    return Limits(_finite(files), _finite(most_files), _finite(processes))


def _finite(limit: int) -> int | None:
    return None if limit == resource.RLIM_INFINITY else limit


def synchronised() -> bool | None:
    """Whether the kernel's clock follows a time server; None where it does not say (adjtimex(2), without root)."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # modes 0: only read; 208 bytes are used
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED


def nearest(path: Path) -> Path:
    """The path itself, or the first above it that exists and that we may see."""
    for one in (path, *path.parents):
        with suppress(OSError):
            if one.exists():
                return one
    return Path("/")


def disk(path: Path) -> Disk:
    """The disk below a path, or below the nearest folder above it that exists."""
    there = nearest(path)
    seen = os.statvfs(there)
    return Disk(str(there), seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize, seen.f_favail, seen.f_files)


def disks(*paths: Path) -> tuple[Disk, ...]:
    """One for each file system below the paths."""
    first = {nearest(path).stat().st_dev: path for path in reversed(paths)}
    return tuple(disk(path) for path in reversed(first.values()))


def loopback() -> bool:
    """Whether a connection to 127.0.0.1 arrives."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(1.0)
            with socket.create_connection(server.getsockname(), timeout=1.0):
                server.accept()[0].close()
    except OSError:
        return False
    return True


def listener(port: int, ours: str) -> Listener | None:
    """Who listens on that port of 127.0.0.1: our own Envoy has ``ours`` in its command line."""
    inodes: dict[str, int] = {}  # of the listening sockets, with their users
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes[fields[9]] = int(fields[7])
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        if inodes.keys() & _sockets(process):
            command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            # Not the whole line: it may hold what nobody should paste into a report.
            return Listener(any(ours in word for word in command), f"{Path(command[0]).name}, pid {process.name}")
    return Listener(False, f"a program of user {min(inodes.values())}")


def _sockets(process: Path) -> set[str]:
    found = set()
    try:
        for link in (process / "fd").iterdir():
            kind, _, inode = str(link.readlink()).partition(":[")
            if kind == "socket":
                found.add(inode.rstrip("]"))
    except OSError:
        return found  # another user's process, or one that ended meanwhile
    return found
