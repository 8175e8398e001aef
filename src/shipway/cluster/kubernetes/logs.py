"""Logs of all replicas of a workload: read in order, then followed through restarts, new Pods and broken connections.

kubelet gives back what one container wrote since a whole second, each line with its time in nanoseconds. So a place in
a log is its last seconds and which of their lines are known; lines of equal time are counted. What a node has rotated
away (containerLogMaxSize, 10 MiB by default) nobody can read any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Protocol

from shipway.bundle import LogLine
from shipway.cluster.kubernetes.names import MAIN, Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.why import quoted
from shipway.errors import ClusterUnreachable, NotFound, ShipwayError, UserError
from shipway.ports import Clock

_SECOND = 10**9
_WINDOW = 2 * _SECOND  # lines of stdout and stderr are stamped apart, and may come a little out of order
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds between two connections
_PATIENCE = 60.0  # seconds of pauses for the log of a Pod that has ended: with the tries of each request two minutes
_QUEUE = 1000  # lines that wait for a slow reader; then the connections wait
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogSource(Protocol):
    """What is asked of an Api here."""

    def logs(
        self,
        pod: str,
        namespace: str,
        container: str,
        *,
        follow: bool = False,
        since_time: datetime | str | None = None,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = True,
    ) -> AsyncIterator[bytes]:
        """See Api."""
        ...


class View(Protocol):
    """The workload whose log it is, as a watch shows it."""

    def pods(self) -> Sequence[tuple[int, Manifest]]:
        """Its Pods now, each with the number of its replica."""
        ...

    def is_over(self) -> bool:
        """Whether it is gone, or a job that has ended."""
        ...

    async def changed(self) -> None:
        """Wait until any of this may have changed."""
        ...


def split(line: bytes) -> tuple[int, str] | None:
    """The time of a line in nanoseconds since 1970, and its text; None for a line without one."""
    stamp, _, text = line.partition(b" ")
    at = nanoseconds(stamp.decode(errors="replace"))
    return None if at is None else (at, text.decode(errors="replace"))


def nanoseconds(stamp: str) -> int | None:
    """RFC 3339 with up to nine digits of a second: more than a datetime holds."""
    whole, dot, rest = stamp.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        at = datetime.fromisoformat(whole + rest[len(digits) :] if dot else whole)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    since = at - _EPOCH
    return (since.days * 86400 + since.seconds) * _SECOND + int(digits.ljust(9, "0")[:9] or 0)


class Position:
    """How far a Pod's log was read."""

    def __init__(self) -> None:
        self._known: Counter[int] = Counter()
        self._again: Counter[int] = Counter()
        self._newest = 0
        self._floor = 0

    def since(self) -> str | None:
        """From when to read on; what is known of that time comes again, and :meth:`is_new` says so."""
        self._again = Counter(self._known)
        if not self._newest:
            return None
        return (_EPOCH + timedelta(seconds=(self._newest - _WINDOW) // _SECOND)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def is_new(self, at: int) -> bool:
        """Whether the next line, of that time, was not read before."""
        if self._again[at] > 0:
            self._again[at] -= 1
            return False
        return at >= self._floor and at > self._newest - _WINDOW

    def take(self, at: int, *, first: bool = False) -> None:
        """A line of that time is given out. ``first``: nothing before it is wanted."""
        if first:
            self._floor = at
        self._known[at] += 1
        if at // _SECOND > self._newest // _SECOND:
            self._known = Counter({one: n for one, n in self._known.items() if one > at - 2 * _WINDOW})
        self._newest = max(self._newest, at)


class PodLog:
    """The log of one Pod's main container, its restarts included, read on from where it was left."""

    def __init__(self, api: LogSource, namespace: str, pod: Manifest, replica: int) -> None:
        self.name = fields.name_of(pod)
        self._api = api
        self._namespace = namespace
        self._replica = replica
        self._position = Position()
        self._restarts = 0  # of the container that was read last

    async def read(
        self, pod: Manifest, *, follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[LogLine, None]:
        """Lines that were not given out yet. ``pod``: as it is now. Raises ClusterUnreachable in their midst."""
        status = fields.container_status(pod)
        restarts = int(status.get("restartCount", 0))
        if restarts != self._restarts and fields.state(status, "terminated", before=True):
            with contextlib.suppress(NotFound, UserError):  # the node may have removed it by now
                async for line in self._lines(previous=True, tail=tail):
                    yield line
        self._restarts = restarts
        async for line in self._lines(follow=follow, tail=tail):
            yield line

    async def _lines(
        self, *, follow: bool = False, previous: bool = False, tail: int | None = None
    ) -> AsyncGenerator[LogLine, None]:
        since = self._position.since()
        raw = self._api.logs(
            self.name, self._namespace, MAIN, follow=follow, previous=previous, since_time=since, tail=tail
        )
        async with aclosing(raw) as lines:  # type: ignore[type-var]
            async for one in lines:
                found = split(one)
                if found is None:
                    # kubelet answers 200 before it looks for the log: these are its own words.
                    if not previous:
                        raise _unreadable(self.name, one)
                elif self._position.is_new(found[0]):
                    self._position.take(found[0], first=tail is not None and since is None)
                    yield LogLine(_EPOCH + timedelta(microseconds=found[0] // 1000), self._replica, "stdout", found[1])


def _unreadable(pod: str, said: bytes) -> ClusterUnreachable:
    words = quoted(said.decode(errors="replace"))
    return ClusterUnreachable(
        f"the node of Pod {pod} does not give its log: {words}",
        next_step="Shipway asks again; a log that its node has lost comes back no more.",
    )


async def history(logs: Sequence[tuple[PodLog, Manifest]], tail: int | None) -> AsyncGenerator[LogLine, None]:
    """What is written by now, oldest first; the last ``tail`` lines of it."""
    streams = [one.read(pod, tail=max(tail, 1) if tail is not None else None) for one, pod in logs]
    if tail is None:
        async for line in _merged(streams):
            yield line
        return
    found = [line async for line in _merged(streams)]
    for line in found[max(0, len(found) - tail) :]:
        yield line


async def _merged(streams: Sequence[AsyncGenerator[LogLine, None]]) -> AsyncGenerator[LogLine, None]:
    """By time; each stream is in order by itself, and only its next line is held."""
    heads: dict[int, LogLine] = {}
    try:
        for number, stream in enumerate(streams):
            if (line := await _next(stream)) is not None:
                heads[number] = line
        while heads:
            number = min(heads, key=lambda one: (heads[one].at, one))
            yield heads.pop(number)
            if (line := await _next(streams[number])) is not None:
                heads[number] = line
    except ShipwayError:
        for line in sorted(heads.values(), key=lambda one: one.at):  # they count as given out
            yield line
        raise
    finally:
        for stream in streams:
            await stream.aclose()


async def _next(stream: AsyncIterator[LogLine]) -> LogLine | None:
    try:
        return await anext(stream, None)
    except NotFound:
        return None  # the Pod went meanwhile


class Follower:
    """Follows the logs of all Pods of a workload, those that come later included, until it is over."""

    def __init__(self, api: LogSource, namespace: str, view: View, clock: Clock) -> None:
        self._api = api
        self._namespace = namespace
        self._view = view
        self._clock = clock
        self._logs: dict[str, PodLog] = {}  # by uid of the Pod
        self._queue: asyncio.Queue[LogLine | None] = asyncio.Queue(_QUEUE)
        self._error: Exception | None = None

    async def lines(self, tail: int | None, *, follow: bool) -> AsyncGenerator[LogLine, None]:
        """History first, then what comes. Raises ClusterRefused, and ClusterUnreachable when it does not follow, or
        when the log of what has ended cannot be read in two minutes: it does not end before all of it was given out."""
        started = [(self._log(index, pod), pod) for index, pod in self._view.pods() if has_begun(pod)]
        try:
            async with aclosing(history(started, tail)) as lines:
                async for line in lines:
                    yield line
        except ClusterUnreachable:
            if not follow:
                raise
        if not follow:
            return
        following = asyncio.create_task(self._follow())
        try:
            while (one := await self._queue.get()) is not None:
                yield one
            if self._error is not None:
                raise self._error
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _log(self, index: int, pod: Manifest) -> PodLog:
        uid = fields.uid_of(pod)
        if uid not in self._logs:
            self._logs[uid] = PodLog(self._api, self._namespace, pod, index)
        return self._logs[uid]

    async def _follow(self) -> None:
        followed: set[str] = set()
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    over = self._view.is_over()  # asked before the Pods: what is written after the end is not missed
                    for index, pod in self._view.pods():
                        uid = fields.uid_of(pod)
                        if uid not in followed and has_begun(pod):
                            followed.add(uid)
                            tasks.create_task(self._follow_pod(uid, self._log(index, pod)))
                    if over:
                        break
                    await self._view.changed()
        except ExceptionGroup as errors:
            self._error = errors.exceptions[0]
        await self._queue.put(None)

    async def _follow_pod(self, uid: str, log: PodLog) -> None:
        pause, waited = _FIRST_PAUSE, 0.0
        while True:
            pod = next((pod for _, pod in self._view.pods() if fields.uid_of(pod) == uid), None)
            if pod is None:
                return
            over = has_ended(pod)
            try:
                async with aclosing(log.read(pod, follow=not over)) as lines:
                    async for line in lines:
                        pause, waited = _FIRST_PAUSE, 0.0
                        await self._queue.put(line)
                if over:
                    return
            except NotFound:
                return
            except (ClusterUnreachable, UserError):  # nobody answers, or the container is only being made again
                if over and waited >= _PATIENCE:
                    raise
            await self._clock.sleep(pause)
            waited = waited + pause if over else 0.0
            pause = min(_LONGEST_PAUSE, 2 * pause)


def has_begun(pod: Manifest) -> bool:
    """Whether its main container has written anything, or may have."""
    status = fields.container_status(pod)
    return bool(fields.state(status, "running") or fields.state(status, "terminated") or status.get("restartCount"))


def has_ended(pod: Manifest) -> bool:
    """Whether its main container writes nothing any more."""
    ended = bool(fields.state(fields.container_status(pod), "terminated"))
    return ended and (not fields.is_server(pod) or fields.status(pod).get("phase") in ("Succeeded", "Failed"))
