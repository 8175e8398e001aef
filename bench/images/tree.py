"""A command with all that it starts: how long it took, and the most memory that they had together."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.home import ROOT

_LOOK = 0.02  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of the whole command; bytes that its processes had at once (PSS: shared pages count once)."""

    seconds: float
    peak: int
    said: str


def taken(command: Sequence[str | Path], env: Mapping[str, str] | None = None, *, memory: bool = False) -> Taken:
    """Run it to its end; ``memory``: look at its memory, which costs time. Stops the bench when it fails."""
    with tempfile.TemporaryFile("w+") as told:
        start, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        while memory and process.poll() is None:
            peak = max(peak, sum(_pss(pid) for pid in _tree(process.pid)))
            time.sleep(_LOOK)
        code = process.wait()
        seconds = time.perf_counter() - start
        told.seek(0)
        said = told.read()
    if code:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {code}:\n{said}")
    return Taken(seconds, peak, said)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it ended
            continue
        for child in children:
            yield from _tree(int(child))


def _pss(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0
