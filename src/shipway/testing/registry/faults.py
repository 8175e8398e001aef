"""Faults as values: what goes wrong with one request. ``FakeRegistry.fail`` sets them.

A fault acts at one of three places: ``instead`` of the registry, on what it answers (``change``), or on the bytes while
they flow in one of the two directions (``flow``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Literal

from shipway.testing.registry.answers import CHUNK, Answer, error

Side = Literal["request", "answer"]


class Dropped(Exception):
    """The connection ends here."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What a fault needs of the place where it acts: to say that it did, and to wait until it is lifted."""

    struck: Callable[[], None]
    lifted: asyncio.Event


class Fault:
    """The base of all: does nothing."""

    __slots__ = ()

    @property
    def side(self) -> Side:
        """The body that ``flow`` is asked about."""
        return "answer"

    def instead(self) -> Answer | None:
        """An answer in place of the registry's, which then never hears of the request."""
        return None

    def change(self, answer: Answer) -> Answer:
        """What becomes of the registry's answer."""
        return answer

    async def flow(self, body: AsyncIterator[bytes], strike: Strike) -> AsyncIterator[bytes]:
        """The body as it passes; raises Dropped to end the connection."""
        async for chunk in body:
            yield chunk


@dataclass(frozen=True, slots=True)
class Drop(Fault):
    """The connection ends after so many bytes of a body. With 0 of an answer, not even its head is sent.

    The registry keeps what it received; a request whose answer is dropped has been done.
    """

    after: int = 0
    of: Side = "answer"

    @property
    def side(self) -> Side:
        return self.of

    async def flow(self, body: AsyncIterator[bytes], strike: Strike) -> AsyncIterator[bytes]:
        left = self.after
        while left > 0:
            chunk = await anext(body, b"")
            if not chunk:
                return
            yield chunk[:left]
            left -= len(chunk)
        strike.struck()
        raise Dropped


@dataclass(frozen=True, slots=True)
class Hang(Fault):
    """After so many bytes of a body nothing moves, until the trap is lifted (``FakeRegistry.fail`` gives it)."""

    after: int = 0
    of: Side = "answer"

    @property
    def side(self) -> Side:
        return self.of

    async def flow(self, body: AsyncIterator[bytes], strike: Strike) -> AsyncIterator[bytes]:
        left = self.after
        while left > 0:
            chunk = await anext(body, b"")
            if not chunk:
                return
            yield chunk[:left]
            if len(chunk) > left:
                body = _before(chunk[left:], body)
            left -= len(chunk)
        strike.struck()
        await strike.lifted.wait()
        async for chunk in body:
            yield chunk


@dataclass(frozen=True, slots=True)
class Slow(Fault):
    """A body flows at so many bytes per second."""

    rate: int
    of: Side = "answer"

    @property
    def side(self) -> Side:
        return self.of

    async def flow(self, body: AsyncIterator[bytes], strike: Strike) -> AsyncIterator[bytes]:
        strike.struck()
        async for chunk in body:
            for start in range(0, len(chunk), part := max(1, self.rate // 20)):
                yield chunk[start : start + part]
                await asyncio.sleep(len(chunk[start : start + part]) / self.rate)


@dataclass(frozen=True, slots=True)
class Reply(Fault):
    """Any answer instead of the registry's."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict, hash=False)

    def instead(self) -> Answer:
        return Answer.of(self.status, self.body, **self.headers)


@dataclass(frozen=True, slots=True)
class ServerError(Fault):
    """500, or another status of that kind."""

    status: int = 500

    def instead(self) -> Answer:
        return error("UNKNOWN", "the registry stumbled", self.status)


@dataclass(frozen=True, slots=True)
class TooManyRequests(Fault):
    """429; Retry-After in seconds, as a date, or not at all."""

    retry_after: int | datetime | None = 1

    def instead(self) -> Answer:
        said = self.retry_after
        told = format_datetime(said, usegmt=True) if isinstance(said, datetime) else str(said)
        answer = error("TOOMANYREQUESTS", "slow down")
        return answer if said is None else answer.having(Retry_After=told)


@dataclass(frozen=True, slots=True)
class ExpiredToken(Fault):
    """401 with the registry's challenge, as for a token that has just expired. Needs a registry with ``auth``."""


@dataclass(frozen=True, slots=True)
class ChangedBytes(Fault):
    """One byte of the answer's body is another one; length and headers stay: a registry that lies about a digest."""

    at: int = 0

    def change(self, answer: Answer) -> Answer:
        return replace(answer, body=self._changed(answer.body))

    def _changed(self, body: Iterable[bytes]) -> Iterator[bytes]:
        start = 0
        for chunk in body:
            here = self.at - start
            start += len(chunk)
            if 0 <= here < len(chunk):
                chunk = chunk[:here] + bytes([chunk[here] ^ 0x01]) + chunk[here + 1 :]
            yield chunk


@dataclass(frozen=True, slots=True)
class Resized(Fault):
    """The body has so many bytes more or fewer, and Content-Length agrees: a registry that lies about a size."""

    by: int

    def change(self, answer: Answer) -> Answer:
        length = max(0, (answer.length or 0) + self.by)
        return replace(answer, body=_resized(answer.body, length), length=length)


@dataclass(frozen=True, slots=True)
class WrongLength(Fault):
    """Only Content-Length is wrong: by more, the connection ends before it is reached; by less, the rest is lost."""

    by: int

    def change(self, answer: Answer) -> Answer:
        length = max(0, (answer.length or 0) + self.by)
        body = answer.body if self.by > 0 else _resized(answer.body, length)
        return replace(answer, body=body, length=length)


@dataclass(frozen=True, slots=True)
class Endless(Fault):
    """The body never ends; its length is not announced."""

    def change(self, answer: Answer) -> Answer:
        return replace(answer, body=_endless(answer.body), length=None)


def _endless(body: Iterable[bytes]) -> Iterator[bytes]:
    yield from body
    while True:
        yield b"\0" * CHUNK


def _resized(body: Iterable[bytes], length: int) -> Iterator[bytes]:
    for chunk in _endless(body):
        if length <= 0:
            return
        yield chunk[:length]
        length -= len(chunk)


async def _before(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
