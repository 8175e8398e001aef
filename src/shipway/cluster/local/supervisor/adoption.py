"""A replica that another supervisor started, and that outlived it.

It is no child of ours: the kernel tells us that it ended, not how. Its pipes are still there as long as it is, and can
be opened again from /proc.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat

from . import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_orphan(one: dict[str, Any]) -> bool:
    """Whether a replica, as a status tells of it, serves on without a supervisor."""
    return one["phase"] == "Ready" and "pipes" in one and identity.lives(one["pid"], one["start_time"])


class Adopted:
    """The process of ``seen`` (a replica of a status); ``marker`` is the variable that its children have too."""

    def __init__(self, selector: selectors.BaseSelector, seen: dict[str, Any], marker: str) -> None:
        self.pid: int = seen["pid"]
        self.start_time: int = seen["start_time"]
        self._marker = marker
        self._selector = selector
        self._handle = os.pidfd_open(self.pid)  # readable at its end: that brings the loop round
        selector.register(self._handle, selectors.EVENT_READ, lambda _events: None)
        self.stdout, self.stderr = (
            _pipe_again(self.pid, number, inode) for number, inode in zip((1, 2), seen["pipes"], strict=True)
        )

    @property
    def lives(self) -> bool:
        return identity.lives(self.pid, self.start_time)

    def bury(self) -> None:
        """After its end: what it left in its group goes too, unless the group is a stranger's by now."""
        self._selector.unregister(self._handle)
        os.close(self._handle)
        for pid in identity.group_members(self.pid, self._marker):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def _pipe_again(pid: int, number: int, inode: int) -> int:
    """The read end of the pipe that it was given; of nothing, when it has put something else there."""
    path = f"/proc/{pid}/fd/{number}"
    try:
        seen = os.stat(path)
        if stat.S_ISFIFO(seen.st_mode) and seen.st_ino == inode:
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        pass
    read, write = os.pipe()
    os.close(write)
    os.set_blocking(read, False)
    return read
