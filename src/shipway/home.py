"""The home folder, kept by its hub: one hub at a time, who may enter, and what is remembered between two hubs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shipway.cluster.local import supervision
from shipway.cluster.local.folder import Folder
from shipway.cluster.local.supervisor import identity as processes
from shipway.controllers import GATEWAY
from shipway.envoy.listen import Reservation, reserve_any, reserve_beside_envoy, reserve_port
from shipway.errors import PortTaken, Refused, ShipwayError
from shipway.settings import Settings


def own(where: Settings) -> None:
    """Make the home, readable by its owner only.

    Raises Refused as :func:`own_sockets` does, and for a folder with things in it that are not Shipway's.
    """
    where.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What is there before the first hub has the lock, should it be killed right then; and the images of who built some
    # before any hub.
    before = {where.hub_log.name, where.cache.name, where.sockets.name, where.oci.name}
    if not (where.hub_lock.exists() or where.store.exists()):
        strange = sorted(one.name for one in where.home.iterdir() if one.name not in before)
        if strange:
            raise Refused(
                f"{where.home} is no home of Shipway and not empty ({strange[0]} is in it): it is not ours to close",
                next_step="Set SHIPWAY_HOME to a folder that is new or empty.",
            )
    where.home.chmod(0o700)
    where.cache.mkdir(mode=0o700, exist_ok=True)
    own_sockets(where)


def identity(where: Settings) -> str:
    """A short name of the home, for cgroups and the like: two homes never share one."""
    return hashlib.sha256(os.fsencode(where.home)).hexdigest()[:12]


def gateway_port(where: Settings) -> Reservation:
    """The home's gateway port (asked for, remembered, or chosen now), kept until Envoy comes and whenever it is away.

    A remembered port that a stranger has taken while our gateway was down is given up, not fought for. A gateway
    that runs keeps its port itself.
    """
    remembered = where.gateway / "port"
    text = remembered.read_text() if remembered.exists() else ""
    before = int(text) if text.isdigit() else None
    asked = where.gateway_port or before
    if asked is not None and asked == before and _gateway_lives(Folder(where.workloads / GATEWAY[1])):
        return reserve_beside_envoy(asked)
    try:
        kept = reserve_any() if asked is None else reserve_port(asked)
    except PortTaken:
        if where.gateway_port is not None:
            raise
        kept = reserve_any()
    where.gateway.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_whole(remembered, str(kept.port))
    return kept


def _gateway_lives(folder: Folder) -> bool:
    """Its supervisor, which starts Envoy again, or an Envoy that lost its supervisor. Not after a reboot."""
    replicas = (folder.read(folder.status_file) or {}).get("replicas", [])
    return supervision.alive(folder) or any(processes.lives(one["pid"], one["start_time"]) for one in replicas)


def token(where: Settings) -> str:
    """The bearer token for TCP, made once; readable by its owner only."""
    if not where.token.exists():
        _write_whole(where.token, secrets.token_urlsafe(32))
    return where.token.read_text()


def _write_whole(path: Path, text: str) -> None:
    """Killed anywhere in here, the next hub finds the whole text or no file."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def own_sockets(where: Settings) -> None:
    """Make the folder for sockets; whoever may write there could be the hub to our commands.

    Raises Refused when it lies outside of the home (in /tmp) and is another user's.
    """
    inside = where.sockets.is_relative_to(where.home)
    for folder in (where.sockets,) if inside else (where.sockets.parent, where.sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
            raise Refused(
                f"{folder}, where the sockets of {where.home} go, is another user's or not a folder",
                next_step=f"Remove it, or choose a SHIPWAY_HOME with a shorter path than {len(str(where.home))}.",
            )
        folder.chmod(0o700)


def leave_sockets(where: Settings) -> None:
    """Nothing stays in /tmp of a home that runs nothing; while something runs, its sockets keep the folder."""
    if not where.sockets.is_relative_to(where.home):
        with suppress(OSError):
            (where.sockets / "supervisors").rmdir()
            where.sockets.rmdir()


@contextmanager
def failure_told(where: Settings) -> Iterator[None]:
    """Leave the error that ends the hub for the commands: its log is for people. Only with the home's lock."""
    where.hub_failure.unlink(missing_ok=True)
    try:
        yield
    except ShipwayError as error:
        with suppress(OSError):  # a full disk must not hide the error
            _write_whole(where.hub_failure, json.dumps(error.to_json()))
        raise


@contextmanager
def only_hub(where: Settings) -> Iterator[bool]:
    """Hold the home's lock, with our pid in it; yields False when another hub has it.

    The kernel releases it when we die.
    """
    with where.hub_lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()))  # for who finds that we hang
        file.flush()
        yield True
