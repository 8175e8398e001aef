"""Output of a replica as a rotated file: ``<ISO time> <stdout|stderr> <text>`` a line."""

from __future__ import annotations

import os
import time

LONGEST_LINE = 64 * 1024


class LineSplitter:
    """Bytes in, whole lines out; a line longer than 64 KiB comes in pieces, so that memory stays bounded."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without their newline."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [piece for line in whole for piece in _pieces(line.removesuffix(b"\r"))]
        *full, self._rest = _pieces(self._rest)
        return lines + full

    def flush(self) -> list[bytes]:
        """What is left of a last line without newline."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= LONGEST_LINE:
        return [line]
    return [line[start : start + LONGEST_LINE] for start in range(0, len(line), LONGEST_LINE)]


class LogFile:
    """``path`` and its older ones ``path.1``, ``path.2``: at most ``files`` of about ``size`` bytes each."""

    def __init__(self, path: str, *, size: int, files: int) -> None:
        self._path = path
        self._size = size
        self._files = files
        self._descriptor = self._open()
        self._written = 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def write(self, stream: str, lines: list[bytes], now: float) -> None:
        """Append lines that came at ``now`` (seconds since the epoch)."""
        head = f"{iso(now)} {stream} ".encode()
        for line in lines:
            if self._written >= self._size:
                self._rotate()
            if self._descriptor is None:
                self._descriptor = self._open()
            if self._descriptor is not None:
                self._written += len(head) + len(line) + 1
                _write_all(self._descriptor, head + line + b"\n")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _rotate(self) -> None:
        self.close()
        for number in range(self._files - 1, 0, -1):
            older = self._path if number == 1 else f"{self._path}.{number - 1}"
            if os.path.exists(older):
                os.rename(older, f"{self._path}.{number}")
        if self._files == 1:
            os.unlink(self._path)
        self._descriptor = self._open()
        self._written = 0

    def _open(self) -> int | None:
        """None on a full disk: the next line tries again."""
        try:
            return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return None


def iso(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds; by hand, because datetime costs 0.7 MB."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micros:06}Z"


def _write_all(descriptor: int, data: bytes) -> None:
    """A full disk loses log lines, never the replica."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        return
