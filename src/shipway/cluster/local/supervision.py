"""Start, reach and bury supervisors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from shipway.cluster.local.folder import Folder
from shipway.cluster.local.supervisor import cgroups, identity
from shipway.cluster.local.supervisor.adoption import is_orphan
from shipway.errors import DependencyFailed

_PROGRAM = Path(__file__).parent / "supervisor" / "__main__.py"
_START_TIMEOUT = 60.0
_BURIAL_ATTEMPTS = 50


def start(folder: Folder, environment: Mapping[str, str]) -> None:
    """Start a supervisor that outlives us, and wait until its socket is up (some 50 ms). Blocking.

    Raises DependencyFailed with what it said when it did not come up.
    """
    command = [sys.executable, "-I", "-S", "-E", str(_PROGRAM), str(folder.path)]
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            timeout=_START_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyFailed(f"the supervisor of {folder.name} does not start: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise DependencyFailed(f"the supervisor of {folder.name} does not start: {said or done.returncode}")


def alive(folder: Folder) -> bool:
    """Does the supervisor on record still run?"""
    return identity.lives(*(folder.supervisor() or (None, None)))


def kill(folder: Folder) -> None:
    """End a supervisor that does not listen any more."""
    known = folder.supervisor()
    if known is not None and identity.lives(*known):
        os.kill(known[0], signal.SIGKILL)


def orphans(status: Mapping[str, Any], replicas: int) -> set[int]:
    """Indices below ``replicas`` of those that serve on without their supervisor: the next one takes them over."""
    serves = status["mode"] == "server"
    return {one["index"] for one in status["replicas"] if serves and one["index"] < replicas and is_orphan(one)}


def bury(folder: Folder, status: Mapping[str, Any] | None, cgroup: str, spare: Collection[int] = ()) -> None:
    """Kill what a dead supervisor left running, and remove its cgroups; not those of ``spare``. Some milliseconds.

    A recorded process counts only with its start time, a group that lost its leader only with our mark
    in its members' environment: pids are reused.
    """
    replicas = [one for one in status["replicas"] if one["index"] not in spare] if status else []
    marker = f"SHIPWAY_WORKLOAD={folder.name}"
    for one in replicas:
        pid = one["pid"]
        if pid and (identity.lives(pid, one["start_time"]) or identity.group_members(pid, marker)):
            identity.kill_group(pid)
    support = cgroups.detect(own=cgroups.membership())
    left = [cgroups.Cgroup(support, cgroup, f"{folder.name}-{one['index']}") for one in replicas]
    for _ in range(_BURIAL_ATTEMPTS):
        for one in left:
            one.kill()
        left = [one for one in left if not one.remove()]
        if not left:
            return
        time.sleep(0.02)  # the kernel needs a moment to take the dead out
