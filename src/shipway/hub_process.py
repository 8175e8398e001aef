"""The hub as a process: find it, start it, stop it. For the faces, so imports stay cheap.

Whether a hub lives is decided by one thing: does ``/healthz`` answer on the home's socket. Two programs may start hubs
at the same time; the hubs settle it by their lock, and the one that loses exits with 0.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shipway import __version__
from shipway.client import HubClient
from shipway.errors import EnvironmentFault, HubUnreachable, Refused, ShipwayError, from_json
from shipway.settings import Settings, inherited

HUB = (sys.executable, "-m", "shipway.app")
RECOVERY = (sys.executable, "-m", "shipway.recovery")

_POLL = 0.02  # seconds
_START_TIMEOUT = 15.0
_STOP_TIMEOUT = 30.0
_AGAIN = 0.25  # seconds before another try, when another hub has the lock
_HEALTH_TIMEOUT = 5.0  # a hub that hangs must not hang us
_TAIL_BYTES = 4096


def check_owner(settings: Settings) -> None:
    """Raise EnvironmentFault when the home is there and closed to us: it is another user's."""
    try:
        os.close(os.open(f"{settings.home}/.", os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError as error:
        raise EnvironmentFault(
            f"the home {settings.home} is closed to user {os.getuid()}: it is another user's",
            next_step="Run as its owner, or set SHIPWAY_HOME to a folder of your own.",
        ) from error
    except OSError:
        return  # there is none yet


def status(settings: Settings) -> dict[str, Any] | None:
    """What the home's hub says of itself (``/healthz``, with ``version`` and ``pid``), or None when none answers.

    Raises as :func:`check_owner`: a hub that we cannot see may well live.
    """
    check_owner(settings)
    try:
        health: dict[str, Any] = HubClient(socket=settings.hub_socket, timeout=_HEALTH_TIMEOUT).get("/healthz")
    except HubUnreachable:
        return None
    return health


def ensure(settings: Settings, *, argv: Sequence[str] = HUB, version: str = __version__) -> dict[str, Any]:
    """Make sure that a hub of this ``version`` answers, and return what it says of itself.

    A hub of another version is replaced: workloads outlive hubs. Raises EnvironmentFault, with the end of the hub's
    log, when it dies or does not answer within 15 s, and Refused when the gateway has another port than is asked for.
    """
    health = status(settings)
    if health is not None and health.get("version") != version:
        stop(settings)
        health = None
    health = health or _start(settings, argv)
    port = urlsplit(health.get("gateway", {}).get("url", "")).port
    if settings.gateway_port is not None and port not in (None, settings.gateway_port):
        raise Refused(
            f"the hub runs with gateway port {port}, SHIPWAY_GATEWAY_PORT asks for {settings.gateway_port}",
            next_step="Run `shipway hub stop` and this again to move the gateway, or unset SHIPWAY_GATEWAY_PORT.",
        )
    return health


def failure(settings: Settings) -> ShipwayError | None:
    """Why the last hub could not serve, in its own words; None when it could, or could not say so."""
    try:
        return from_json(json.loads(settings.hub_failure.read_bytes()))
    except (OSError, ValueError, AttributeError):
        return None


def recover(settings: Settings, *arguments: str) -> dict[str, Any]:
    """Let ``python -m shipway.recovery`` act on the home; what it says. Raises what it raised."""
    check_owner(settings)
    done = subprocess.run(
        ["env", f"SHIPWAY_HOME={settings.home}", *RECOVERY, *arguments], stdout=subprocess.PIPE, check=False
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise EnvironmentFault(f"shipway.recovery {arguments[0]} ended with {done.returncode} and no word") from None
    if "error" in said:
        raise from_json(said["error"])
    return said


def stop(settings: Settings) -> bool:
    """Stop the hub and wait until its process is gone; whether there was one. Workloads go on.

    Raises EnvironmentFault when it does not end within 30 s, or hangs.
    """
    give_up = time.monotonic() + _HEALTH_TIMEOUT  # one that starts or ends is silent too, for a moment
    while (health := status(settings)) is None:
        if not lock_is_held(settings):
            return False
        if time.monotonic() > give_up:
            raise _hangs(settings)
        time.sleep(_POLL)
    pid = int(health["pid"])
    with suppress(HubUnreachable):  # it went before it could answer, or somebody else stopped it first
        HubClient(socket=settings.hub_socket).post("/v1/shutdown", {})
    give_up = time.monotonic() + _STOP_TIMEOUT
    while not _ended(pid):
        if time.monotonic() > give_up:
            raise EnvironmentFault(
                f"the hub (pid {pid}) was told to stop and still runs after {_STOP_TIMEOUT:.0f} s",
                next_step=f"see {settings.hub_log}; `kill -9 {pid}` harms no workload",
            )
        time.sleep(_POLL)
    return True


def _start(settings: Settings, argv: Sequence[str]) -> dict[str, Any]:
    give_up = time.monotonic() + _START_TIMEOUT
    seen = settings.hub_log.stat().st_size if settings.hub_log.exists() else 0
    process = _spawn(settings, argv)
    while time.monotonic() < give_up:
        if (health := status(settings)) is not None:
            if health["pid"] != process.pid:
                # Ours came second and may not know it yet: after a quick stop of the other it would be the hub.
                process.kill()
            # Reaped should it end while we still live; as a daemon thread it holds nobody up.
            threading.Thread(target=process.wait, daemon=True).start()
            return health
        code = process.poll()
        if code is None:
            time.sleep(_POLL)
        elif code == 0:
            # Another hub has the lock: it is about to answer, or on its way out.
            time.sleep(_AGAIN)
            if status(settings) is None:
                process = _spawn(settings, argv)
        elif (told := failure(settings)) is not None:
            raise told
        else:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            failed = _failed(f"the hub ended while it started ({how})", settings, seen)
            raise Refused(failed.message, next_step=failed.next_step) if code == Refused.exit_code else failed
    process.kill()
    process.wait()
    if lock_is_held(settings):
        raise _hangs(settings)
    raise _failed(f"the hub did not answer on {settings.hub_socket} within {_START_TIMEOUT:.0f} s", settings, seen)


def _spawn(settings: Settings, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that shares nothing with us: no session, no working directory, no descriptor.

    A pipe that it inherited (``shipway up | tee log``) would keep its reader waiting for as long as the hub lives.
    """
    variables = {**inherited(), "SHIPWAY_HOME": str(settings.home)}
    if settings.gateway_port is not None:
        variables["SHIPWAY_GATEWAY_PORT"] = str(settings.gateway_port)
    # Both absolute, as the hub's working directory is another.
    if settings.encryption_key is not None:
        variables["SHIPWAY_ENCRYPTION_KEY_FILE"] = str(settings.encryption_key)
    if settings.docker_config is not None:
        variables["DOCKER_CONFIG"] = str(settings.docker_config.parent)
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.hub_failure.unlink(missing_ok=True)  # an earlier hub's: ours may end before it can write its own
        log = os.open(settings.hub_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(
                argv,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                close_fds=True,
                start_new_session=True,
            )
        finally:
            os.close(log)
    except OSError as error:
        raise EnvironmentFault(
            f"the hub cannot be started: {error}",
            next_step=f"SHIPWAY_HOME ({settings.home}) must be a folder that you can write to",
        ) from error


def lock_is_held(settings: Settings) -> bool:
    """Whether a hub has the home, be it silent. Our own look is a lock too, for microseconds."""
    try:
        with settings.hub_lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def holder(settings: Settings) -> int | None:
    """The pid that a hub wrote into the home's lock; None when none stands there."""
    said = settings.hub_lock.read_text(errors="replace").strip()
    return int(said) if said.isdecimal() else None


def _hangs(settings: Settings) -> EnvironmentFault:
    pid = holder(settings)
    end = f"`kill -9 {pid}`" if pid else f"end it (`fuser {settings.hub_lock}` names it) with kill -9, which"
    return EnvironmentFault(
        f"the hub{f' (pid {pid})' if pid else ''} hangs: it has the home {settings.home} and does not answer",
        next_step=f"{end} harms no workload; what it did last: {settings.hub_log}",
    )


def _failed(what: str, settings: Settings, seen: int) -> EnvironmentFault:
    with settings.hub_log.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(min(seen, size), size - _TAIL_BYTES))
        tail = log.read().decode(errors="replace").strip()
    if not tail and _is_full(settings.home):
        # It could not even say so: its log is on that disk.
        return EnvironmentFault(f"{what}: the disk of {settings.home} is full", next_step="Free some space; try again.")
    return EnvironmentFault(f"{what}\n{tail}".strip(), next_step=f"the full log: {settings.hub_log}")


def _is_full(folder: Path) -> bool:
    seen = os.statvfs(folder)
    return seen.f_bavail == 0 or (seen.f_files > 0 and seen.f_favail == 0)


def _ended(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    # A zombie has ended: in a container pid 1 often reaps nobody.
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")
