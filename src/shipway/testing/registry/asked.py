"""A request as the registry's rules see it, and what they read from its head. Pure but for the body, which flows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

_BYTES = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = re.compile(r"(?:bytes )?(\d+)-(\d+)(?:/\S+)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; header names are asked in any case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]

    @property
    def url(self) -> str:
        """The registry, as this client calls it."""
        return f"http://{self.headers.get('Host', 'localhost')}"

    def one(self, name: str) -> str | None:
        """A parameter of the query."""
        return next(iter(self.query.get(name, ())), None)

    async def read(self, limit: int) -> bytes | None:
        """The whole body; None when it is longer than so many bytes."""
        data = bytearray()
        async for chunk in self.body:
            data += chunk
            if len(data) > limit:
                return None
        return bytes(data)


class NotSatisfiable(Exception):
    """No byte of the range is there: 416."""


def span(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and length of the one range that is asked of so many bytes; None: all of it.

    A header that cannot be read, or asks for several ranges, is ignored. Source: RFC 9110, 14.2.
    """
    found = _BYTES.fullmatch(header or "")
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise NotSatisfiable
        return size - length, length
    start, end = int(first), min(int(last or size - 1), size - 1)
    if last and int(last) < start:
        return None
    if start >= size:
        raise NotSatisfiable
    return start, end - start + 1


def chunk_range(header: str | None) -> tuple[int, int] | None:
    """First and last byte of a chunk, from Content-Range as uploads have it (``0-99``). Raises ValueError."""
    if header is None:
        return None
    found = _CHUNK.fullmatch(header)
    if not found or int(found[2]) < int(found[1]):
        raise ValueError(header)
    return int(found[1]), int(found[2])


def page(names: Sequence[str], *, n: int, last: str | None) -> tuple[Sequence[str], bool]:
    """At most ``n`` of the sorted names, those after ``last``, and whether there are more."""
    after = [name for name in names if last is None or name > last]
    return after[:n], n > 0 and len(after) > n


def accepts(header: str | None, media_type: str) -> bool:
    """Whether an Accept header allows that type; without one, all are."""
    wanted = [one.partition(";")[0].strip() for one in (header or "*/*").split(",")]
    return any(one in ("*/*", media_type) for one in wanted)
