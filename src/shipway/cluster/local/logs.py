"""Reading the logs that supervisors write: all rotations, all replicas, merged by time, and following them."""

from __future__ import annotations

import heapq
import os
import re
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, TypeVar

from shipway.bundle import LogLine

_NAME = re.compile(r"replica-(\d+)\.log")
_TAIL_BYTES = 32 * 1024
T = TypeVar("T")


def parse(line: bytes, replica: int) -> LogLine | None:
    """``<ISO time> <stdout|stderr> <text>``; None for a line that a crash cut in two."""
    time, _, rest = line.decode(errors="replace").partition(" ")
    stream, separator, text = rest.partition(" ")
    try:
        at = datetime.fromisoformat(time)
    except ValueError:
        return None
    return LogLine(at=at, replica=replica, stream=stream, text=text) if separator else None


def last(items: list[T], count: int | None) -> list[T]:
    """The last ``count`` items, or all."""
    return items if count is None else items[max(0, len(items) - count) :]


def tail_text(file: Path, lines: int = 30) -> str:
    """The last lines of a log without their times: what to show of a failure. Reads at most 64 KiB."""
    found: list[str] = []
    for part in (file, file.with_name(f"{file.name}.1")):  # the older one, when it was rotated a moment ago
        found = _last_texts(part) + found
        if len(found) >= lines:
            break
    return "\n".join(found[-lines:])


def _last_texts(file: Path) -> list[str]:
    try:
        with file.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - _TAIL_BYTES))
            whole = log.read().split(b"\n")[1 if size > _TAIL_BYTES else 0 :]
    except OSError:
        return []
    parsed = [parse(line, 0) for line in whole if line]
    return [line.text for line in parsed if line is not None]


class ReplicaLog:
    """The log of one replica, read on from where the last :meth:`read` ended, through rotations."""

    def __init__(self, path: Path, replica: int) -> None:
        self._path = path
        self._replica = replica
        self._open: list[BinaryIO] = []  # oldest first; the last is the one being written
        self._rest = b""

    def read(self, tail: int | None = None) -> list[LogLine]:
        """The lines that are new; only the last ``tail`` of them are parsed."""
        self._find_newer()
        raw: list[bytes] = []
        for file in self._open:
            *whole, self._rest = (self._rest + file.read()).split(b"\n")
            raw = last(raw + whole, tail)
        for file in self._open[:-1]:
            file.close()
        self._open = self._open[-1:]
        return [line for line in (parse(one, self._replica) for one in raw) if line is not None]

    def close(self) -> None:
        for file in self._open:
            file.close()
        self._open = []

    def _find_newer(self) -> None:
        """Open the files that are newer than the one we read last; the whole history at first.

        A rotation between two of our looks shows one file twice, hence the comparison by inode.
        """
        known = {os.fstat(file.fileno()).st_ino for file in self._open}
        newer: list[BinaryIO] = []
        for number in range(100):
            path = self._path if number == 0 else self._path.with_name(f"{self._path.name}.{number}")
            try:
                file = path.open("rb")
            except FileNotFoundError:
                if number == 0:
                    continue  # for a moment, in mid-rotation
                break
            inode = os.fstat(file.fileno()).st_ino
            if inode in known:
                file.close()
                if newer or number == 0:
                    break
                continue
            known.add(inode)
            newer.append(file)
        self._open += reversed(newer)


class WorkloadLogs:
    """The logs of all replicas of a workload, those that appear later included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._replicas: dict[int, ReplicaLog] = {}

    def read(self, tail: int | None = None) -> list[LogLine]:
        """New lines of all replicas, merged by time; the last ``tail`` of them."""
        for path in self._folder.glob("replica-*.log"):
            match = _NAME.fullmatch(path.name)
            if match and int(match[1]) not in self._replicas:
                self._replicas[int(match[1])] = ReplicaLog(path, int(match[1]))
        parts = [one.read(tail) for one in self._replicas.values()]
        return last(list(heapq.merge(*parts, key=attrgetter("at"))), tail)

    def close(self) -> None:
        for one in self._replicas.values():
            one.close()
