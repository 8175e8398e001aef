"""The hub's log: everything that the hub says, in a file that cannot fill the disk."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

SIZE = 10 * 2**20  # bytes, after which a new file begins
FILES = 3

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_STDOUT, _STDERR = 1, 2


class HubLog(logging.StreamHandler):  # type: ignore[type-arg]  # generic for type checkers only
    """Logs to stderr. Where that is ``path``, as ``hub_process`` starts a hub, ``path.1`` and so on are the older ones.

    Not a handler that opens a file of its own: what the interpreter or a library prints on its way out goes to stderr,
    and must stand in the same file.
    """

    def __init__(self, path: Path, *, size: int = SIZE, files: int = FILES) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter(_FORMAT))
        self._path = path
        self._size = size
        self._files = files

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, then begin a new file when this one is full; the handler's lock is held."""
        super().emit(record)
        with suppress(OSError):  # a full disk: the next line tries again
            if os.fstat(_STDERR).st_size >= self._size and self._is_ours(_STDERR):
                self._rotate()

    def _rotate(self) -> None:
        ours = [one for one in (_STDOUT, _STDERR) if self._is_ours(one)]
        for number in range(self._files - 1, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        fresh = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        for one in ours:
            os.dup2(fresh, one)
        os.close(fresh)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _is_ours(self, descriptor: int) -> bool:
        return os.path.samestat(os.fstat(descriptor), self._path.stat())


def begin(path: Path | None = None) -> None:
    """Log to stderr, from now on; with ``path`` it is kept small."""
    handler = logging.StreamHandler() if path is None else HubLog(path)
    logging.basicConfig(format=_FORMAT, level=logging.INFO, handlers=[handler], force=True)
