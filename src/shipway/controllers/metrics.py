"""Metric lines of running jobs: from the log to the journal, as they arrive (docs/contract.md)."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from shipway.bundle import LogLine
from shipway.errors import ShipwayError
from shipway.ports import Cluster, Journal, MetricPoint

_LARGEST_STEP = 2**53  # beyond it JSON's numbers, and beyond 2**63 SQLite's, are not exact
_LARGEST_FILE = 2**20  # bytes; what is longer is cut, and is no JSON then
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
        document = json.loads(_plain_file(folder / "metrics.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, Mapping):
        return {}
    numbers = {str(name): _number(value) for name, value in document.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _plain_file(path: Path) -> bytes:
    """A job's code made it: a link would lead out of its folder, and a FIFO would hold the hub for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_LARGEST_FILE) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


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

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tasks: dict[str, asyncio.Task[dict[str, float]]] = {}

    def follow(self, cluster: Cluster, workload: str, subject: str, run: str) -> None:
        """Begin, unless it is followed already. ``run`` names the attempt, so that a retry starts anew."""
        if workload in self._tasks:
            return
        task = self._tasks[workload] = asyncio.create_task(self._follow(cluster, workload, subject, run))
        # A run that fails or is stopped is never finished by finish(): its log ends, and it is forgotten.
        task.add_done_callback(lambda ended: self._forget(workload, ended))

    def _forget(self, workload: str, ended: asyncio.Task[dict[str, float]]) -> None:
        if self._tasks.get(workload) is ended:
            del self._tasks[workload]
        if not ended.cancelled() and (error := ended.exception()) is not None:
            bug = None if isinstance(error, ShipwayError) else error  # a node that is away is no news of our code
            log.warning("the metrics of %s are not followed any more: %s", workload, error, exc_info=bug)

    async def finish(self, cluster: Cluster, workload: str, subject: str, run: str) -> dict[str, float]:
        """Wait until the log of an ended job is read; the last value of each metric. Raises what reading it raises: a
        log that was not read to its end says nothing."""
        self.follow(cluster, workload, subject, run)
        latest = await self._tasks[workload]
        return {one.name: one.value for one in self._journal.points(subject, run=run)} | latest

    async def stop(self) -> None:
        """Let go of all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, cluster: Cluster, workload: str, subject: str, run: str) -> dict[str, float]:
        """The last value of each metric in the log, which is the truth and is read from its start."""
        known = await self._recorded(cluster, workload, subject, run)
        latest: dict[str, float] = {}
        async for points in self._lines(cluster, workload, subject, run, follow=True):
            latest |= {one.name: one.value for one in points}
            fresh = points[known:] if known < len(points) else []
            known = max(0, known - len(points))
            if fresh:
                self._journal.record(fresh)
        return latest

    async def _recorded(self, cluster: Cluster, workload: str, subject: str, run: str) -> int:
        """How many points of the log are in the journal already: all up to the one that was recorded last.

        Their number in the journal does not say it: the journal forgets its oldest points, the log its oldest lines.
        """
        recorded = self._journal.points(subject, run=run)
        known = count = 0
        if recorded:
            last = _essence(recorded[-1])
            async for points in self._lines(cluster, workload, subject, run, follow=False):
                for one in points:
                    count += 1
                    known = count if _essence(one) == last else known
        return known

    async def _lines(
        self, cluster: Cluster, workload: str, subject: str, run: str, *, follow: bool
    ) -> AsyncIterator[list[MetricPoint]]:
        async for line in cluster.logs(workload, follow=follow):
            if line.replica == 0 and (points := parse(line, subject, run)):
                yield points


def _essence(point: MetricPoint) -> tuple[object, ...]:
    return point.name, repr(point.value), point.at, point.step  # repr: a loss may be NaN, which equals nothing
