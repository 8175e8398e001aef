"""Which process a pid means: pids are reused, so a pid counts only together with its start time.

Source: proc(5), fields of /proc/pid/stat.
"""

from __future__ import annotations

import os
import signal


def start_time(pid: int) -> int | None:
    """Ticks between boot and the start of the process (field 22); None when it is gone or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


def lives(pid: int | None, started: int | None) -> bool:
    """Does the very process that had this pid and start time still run?"""
    return pid is not None and started is not None and start_time(pid) == started


def kill_group(group: int, number: int = signal.SIGKILL) -> None:
    """Signal a process group; nothing when it is gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def group_members(group: int, marker: str) -> list[int]:
    """Processes of a group whose environment holds ``marker`` (``NAME=value``): ours, not a stranger's."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        fields = _stat(int(entry))
        if fields is not None and int(fields[2]) == group and marker.encode() in _environ(int(entry)):
            found.append(int(entry))
    return found


def _environ(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def _stat(pid: int) -> list[str] | None:
    """The fields from the third (state) on; the second may hold spaces and brackets."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
