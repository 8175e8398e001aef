"""Gather the facts of one moment. Creates nothing, starts no hub, needs neither root, a terminal nor a home."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from shipway import __version__, hub_process
from shipway.clock import SystemClock
from shipway.database import Table
from shipway.doctor import databases, machine
from shipway.doctor.facts import Database, Facts, Gateway, Home, Hub, Place, Ports, Sockets, Time, Trouble
from shipway.envoy.admin import Admin
from shipway.errors import Corrupt, EnvironmentFault, ShipwayError
from shipway.journal.sqlite import TABLES as JOURNAL
from shipway.settings import LONGEST_IN_SOCKETS, LONGEST_SOCKET_PATH, Settings
from shipway.store.sqlite import TABLES as STORE

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def look(where: Settings, inherited: Mapping[str, str]) -> Facts:
    """All facts about this machine and the home ``where``; ``inherited`` is our environment. Takes about a second."""
    clock = SystemClock()
    began, ticked = clock.now(), time.monotonic()
    told = _try(lambda: hub_process.status(where))
    health = told if isinstance(told, dict) else None
    objects = _try(lambda: read_objects(where))
    return Facts(
        uid=os.getuid(),
        shipway=__version__,
        interpreter=_try(machine.interpreter),
        packages=_try(machine.packages),
        envoy=_try(machine.envoy),
        uv=_try(machine.uv),
        cgroups=_try(machine.cgroups),
        disks=_try(lambda: machine.disks(where.home, where.cache)),
        ports=_try(lambda: _ports(where)),
        sockets=_try(lambda: _sockets(where)),
        limits=_try(machine.limits),
        home=_try(lambda: _home(where)),
        store=_try(lambda: _database(where.store, STORE)),
        journal=_try(lambda: _database(where.journal, JOURNAL)),
        hub=told if isinstance(told, Trouble) else _try(lambda: _hub(where, health)),
        gateway=_try(lambda: _gateway(where, health, objects)),
        pip=_try(lambda: machine.pip(inherited)),
        clusters=objects if isinstance(objects, Trouble) else _try(lambda: _clusters(objects)),
        registries=(),
        proxies=_try(lambda: machine.proxies(inherited)),
        time=_try(lambda: _time(where, clock, began, ticked)),  # last: a leap is seen over all of the above
    )


def read_objects(where: Settings) -> list[dict[str, Any]]:
    """The objects of the store's file, with or without a hub; those that are no JSON are left out."""
    found = []
    for text in databases.texts(where.store) if where.store.exists() else ():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue  # the line about the store names the damage
    return [one for one in found if isinstance(one, dict)]


def _try(probe: Callable[[], T]) -> T | Trouble:
    try:
        return probe()
    except ShipwayError as error:
        return Trouble(error.message)
    except Exception as error:  # whatever is broken here is what the user wants to know about
        return Trouble(f"{type(error).__name__}: {error}")


def _ports(where: Settings) -> Ports:
    remembered = where.gateway / "port"
    text = remembered.read_text().strip() if remembered.exists() else ""
    port = where.gateway_port or (int(text) if text.isdecimal() else None)
    return Ports(
        port=port,
        asked=where.gateway_port is not None,
        listener=machine.listener(port, str(where.gateway)) if port is not None else None,
        loopback=machine.loopback(),
    )


def _sockets(where: Settings) -> Sockets:
    folder = where.sockets
    seen = folder.lstat() if folder.exists() else None
    return Sockets(
        folder=str(folder),
        longest=len(os.fsencode(folder)) + LONGEST_IN_SOCKETS,
        limit=LONGEST_SOCKET_PATH,
        uid=seen.st_uid if seen else None,
        mode=stat.S_IMODE(seen.st_mode) if seen else None,
    )


def _home(where: Settings) -> Home:
    there = machine.nearest(where.home)
    seen = there.stat()
    return Home(
        path=str(where.home),
        exists=there == where.home,
        uid=seen.st_uid,
        mode=stat.S_IMODE(seen.st_mode),
        writable=there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        file_system=file_system(there.resolve(), Path("/proc/self/mountinfo").read_text()),
    )


def file_system(path: Path, mounts: str) -> str:
    """The type of the file system that is mounted nearest above; the last of two at one place hides the other."""
    found = (-1, "")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) >= found[0]:
            found = (len(point.parts), after.split()[0])
    return found[1]


def _database(path: Path, tables: Sequence[Table]) -> Database:
    if not path.exists():
        return Database(str(path), None)
    try:
        return Database(str(path), databases.rows_of(path, tables))
    except Corrupt as error:
        return Database(str(path), None, error.message)
    except sqlite3.Error as error:
        return Database(str(path), None, str(error))


def _hub(where: Settings, health: Mapping[str, Any] | None) -> Hub:
    if health is not None:
        return Hub(True, version=str(health.get("version", "")), pid=int(health["pid"]))
    if not hub_process.lock_is_held(where):
        return Hub(False)
    return Hub(False, hangs=True, pid=hub_process.holder(where))


def _gateway(where: Settings, health: Mapping[str, Any] | None, objects: list[dict[str, Any]] | Trouble) -> Gateway:
    try:
        asyncio.run(Admin(where.sockets / "envoy.sock").ask("/ready"))
        envoy = True
    except ShipwayError:
        envoy = False
    if not envoy and health is None and isinstance(objects, Trouble):
        raise EnvironmentFault(objects.words)  # whether it is needed, nobody can say
    says = health.get("gateway", {}) if health is not None else {}
    return Gateway(
        envoy=envoy,
        live=bool(says.get("live")) if health is not None else None,
        url=str(says.get("url", "")),
        reason=str(says.get("reason", "")),
        message=str(says.get("message", "")),
        wanted=not isinstance(objects, Trouble) and any(one.get("kind") == "Route" for one in objects),
    )


def _clusters(objects: list[dict[str, Any]]) -> tuple[Place, ...]:
    return tuple(_cluster(one) for one in objects if one.get("kind") == "Cluster")


def _cluster(document: Mapping[str, Any]) -> Place:
    status = document.get("status", {})
    conditions: list[Mapping[str, Any]] = list(status.get("conditions", ()))
    ready = next((one for one in conditions if one.get("type") == "Ready"), {})
    limits = ", ".join(status.get("limits", ())) or "none"
    room = f"{status.get('cpus', 0):g} CPUs, {status.get('memory', 0) / 2**30:.1f} GiB, limits enforced: {limits}"
    return Place(document["metadata"]["name"], ready.get("status") == "True", ready.get("message") or room)


def _time(where: Settings, clock: SystemClock, began: datetime, ticked: float) -> Time:
    newest = None
    if where.journal.exists():
        try:
            rows = databases.newest(where.journal, "entries", 1)
            newest = _EPOCH + timedelta(microseconds=rows[0]["at"]) if rows else None
        except sqlite3.Error:
            newest = None  # the line about the journal says so
    now = clock.now()
    leap = (now - began).total_seconds() - (time.monotonic() - ticked)
    return Time(now, leap, machine.synchronised(), newest)
