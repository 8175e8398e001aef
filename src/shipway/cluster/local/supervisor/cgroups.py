"""CPU and memory limits by cgroups, version 1 or 2, where this user may write them.

Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/memory.html. ``root`` is an
argument, so that tests have trees of their own.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "memory")
_CPU_PERIOD = 100_000  # microseconds
_SWAP = ("memory.swap", "memory.memsw")  # files that a kernel without swap accounting does not have


class Support:
    """``folders``: controller to a folder in which we may make cgroups; ``missing``: controller to why we may not."""

    def __init__(self, version: int, folders: dict[str, str], missing: dict[str, str]) -> None:
        self.version = version
        self.folders = folders
        self.missing = missing


def may_write(path: str) -> bool:
    """Also False on a read-only mount, for root too."""
    return os.access(path, os.W_OK | os.X_OK)


def membership() -> str:
    """``/proc/self/cgroup``, empty where there is none."""
    return _read("/proc/self/cgroup")


def detect(root: str = ROOT, own: str = "", writable: Callable[[str], bool] = may_write) -> Support:
    """Look for writable controllers at the root of the hierarchy, then at this process's own cgroup.

    ``own`` is the text of /proc/self/cgroup.
    """
    paths = {name: line[2] for line in (text.split(":", 2) for text in own.splitlines()) for name in line[1].split(",")}
    version = 2 if os.path.exists(f"{root}/cgroup.controllers") else 1
    folders: dict[str, str] = {}
    missing: dict[str, str] = {}
    for controller in CONTROLLERS:
        top = root if version == 2 else f"{root}/{controller}"
        own_path = paths.get("" if version == 2 else controller, "/").strip("/")
        places = [top] if not own_path else [top, f"{top}/{own_path}"]
        reason = f"there are no cgroups at {root}"
        for place in places:
            reason = _obstacle(version, place, controller, writable)
            if not reason:
                folders[controller] = place
                break
        else:
            missing[controller] = reason
    return Support(version, folders, missing)


def _obstacle(version: int, place: str, controller: str, writable: Callable[[str], bool]) -> str:
    """Why no cgroup with this controller can be made in ``place``; empty when it can."""
    if not os.path.exists(f"{place}/cgroup.procs"):
        return f"there is no cgroup controller {controller} at {place}"
    if not writable(place):
        return f"{place} is not writable for this user"
    if version == 1:
        return ""
    if controller not in _read(f"{place}/cgroup.controllers").split():
        return f"{place} does not have the cgroup controller {controller}"
    # Only the true root, which has no cgroup.type, may have processes and pass controllers on.
    inner = os.path.exists(f"{place}/cgroup.type") and _read(f"{place}/cgroup.procs").strip()
    if inner and controller not in _read(f"{place}/cgroup.subtree_control").split():
        return f"{place} has processes of its own, so it cannot pass the controller {controller} on"
    return ""


def unenforced(limits: Mapping[str, float | None], missing: Mapping[str, str]) -> list[str]:
    """A sentence for each limit that is asked for and not kept."""
    amounts = {key: value for key, value in limits.items() if value is not None and key in missing}
    words = {key: in_words(key, value) for key, value in amounts.items()}
    return [f"{key} limit {words[key]} is not enforced: {missing[key]}" for key in sorted(words)]


def in_words(controller: str, limit: float) -> str:
    """``0.5`` cores, ``64Mi`` of memory."""
    return f"{limit:g}" if controller == "cpu" else f"{limit / 2**20:g}Mi"


class Cgroup:
    """The cgroup of one replica: ``parent/name`` under every controller that we may use."""

    def __init__(self, support: Support, parent: str, name: str) -> None:
        self._version = support.version
        self._parents = {key: f"{folder}/{parent}" for key, folder in support.folders.items()}
        self._paths = {key: f"{folder}/{name}" for key, folder in self._parents.items()}

    def create(self, limits: Mapping[str, float | None]) -> dict[str, str]:
        """Make it with ``limits`` (cpu in cores, memory in bytes); controller to why it could not be set."""
        problems = {}
        for controller, path in self._paths.items():
            try:
                if self._version == 2:
                    for above in (os.path.dirname(self._parents[controller]), self._parents[controller]):
                        os.makedirs(above, exist_ok=True)
                        _write(f"{above}/cgroup.subtree_control", f"+{controller}")
                os.makedirs(path, exist_ok=True)
                for file, value in _settings(self._version, controller, limits.get(controller)):
                    if not file.startswith(_SWAP) or os.path.exists(f"{path}/{file}"):
                        _write(f"{path}/{file}", value)
            except OSError as error:
                problems[controller] = f"{path}: {error.strerror}"
        return problems

    def add(self, pid: int) -> None:
        """Put a process in; its children will follow."""
        for path in set(self._paths.values()):
            try:
                _write(f"{path}/cgroup.procs", str(pid))
            except OSError:
                continue  # told by create() already, when a limit depends on it

    def oom_kills(self) -> int:
        """How many processes of it the kernel has killed for want of memory."""
        path = self._paths.get("memory", "")
        file = "memory.events" if self._version == 2 else "memory.oom_control"
        for line in _read(f"{path}/{file}").splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def processes(self) -> list[int]:
        """Pids in it."""
        texts = [_read(f"{path}/cgroup.procs") for path in set(self._paths.values())]
        return sorted({int(word) for text in texts for word in text.split()})

    def kill(self) -> None:
        """Kill every process in it, those that left the process group included."""
        for _ in range(10):  # a process may fork while we look
            pids = self.processes()
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            if not pids:
                return

    def remove(self) -> bool:
        """Remove it, and the parent when nothing else is in it; False while processes are left in it."""
        gone = True
        for controller, path in self._paths.items():
            gone = _rmdir(path) and gone
            _rmdir(self._parents[controller])
        return gone


def _settings(version: int, controller: str, limit: float | None) -> list[tuple[str, str]]:
    if limit is None:
        return []
    if controller == "cpu":
        quota = max(1000, round(limit * _CPU_PERIOD))
        if version == 2:
            return [("cpu.max", f"{quota} {_CPU_PERIOD}")]
        return [("cpu.cfs_period_us", str(_CPU_PERIOD)), ("cpu.cfs_quota_us", str(quota))]
    memory = str(int(limit))
    if version == 2:
        return [("memory.max", memory), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
    return [("memory.limit_in_bytes", memory), ("memory.memsw.limit_in_bytes", memory)]


def _rmdir(path: str) -> bool:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
