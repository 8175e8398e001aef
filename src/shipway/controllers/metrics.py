"""Metric lines of running jobs: from the log to the journal, as they arrive (docs/contract.md)."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

from shipway.bundle import LogLine
from shipway.ports import Cluster, Journal, MetricPoint

_LARGEST_STEP = 2**53  # beyond it JSON's numbers, and beyond 2**63 SQLite's, are not exact
FRAME = "\x1eshipway-metrics "

log = logging.getLogger(__name__)


def parse(line: LogLine, subject: str, run: str) -> list[MetricPoint]:
    """The points of one line of log; none when it is no metric line or is malformed."""
    # Not only at the start: another thread's print may have left its text on the line before.
    _, found, frame = line.text.partition(FRAME)
    if line.stream != "stdout" or not found:
        return []
    try:
        document = json.loads(frame)
        values = document["metrics"].items()
        step = document.get("step")
        return [
            MetricPoint(subject, run, str(name), float(value), line.at, None if step is None else _step(step))
            for name, value in values
            if value is not None
        ]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return []


def metrics_of_file(folder: Path) -> dict[str, float]:
    """What ``metrics.json`` of an output folder says: for code that knows nothing of Shipway."""
    try:
        document = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(document, Mapping):
        return {}
    numbers = {str(name): _number(value) for name, value in document.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int of 400 digits is no measurement
        return math.inf


def _step(value: object) -> int:
    step = int(str(value))
    if abs(step) > _LARGEST_STEP:
        raise OverflowError(value)
    return step


class MetricFollower:
    """Follows the log of each running job. A hub that comes later goes on where the last one ended."""

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._cluster = cluster
        self._journal = journal
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, workload: str, subject: str, run: str) -> None:
        """Begin, unless it is followed already. ``run`` names the attempt, so that a retry starts anew."""
        if workload not in self._tasks:
            self._tasks[workload] = asyncio.create_task(self._follow(workload, subject, run))

    async def finish(self, workload: str, subject: str, run: str) -> dict[str, float]:
        """Wait until the log of an ended job is read; the last value of each metric."""
        self.follow(workload, subject, run)
        task = self._tasks.pop(workload)
        await task
        return {one.name: one.value for one in self._journal.points(subject, run=run)}

    async def stop(self) -> None:
        """Let go of all."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _follow(self, workload: str, subject: str, run: str) -> None:
        # The log is the truth and is read from its start: what an earlier hub recorded is skipped by count.
        known = len(self._journal.points(subject, run=run))
        async for line in self._cluster.logs(workload, follow=True):
            if line.replica != 0:
                continue
            points = parse(line, subject, run)
            fresh = points[known:] if known < len(points) else []
            known = max(0, known - len(points))
            if fresh:
                self._journal.record(fresh)
