"""What a registry was asked, and how many bytes travelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import overload


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it stands now: a body may still be under way.

    ``received`` and ``sent`` are the bytes of the two bodies; ``status`` is 0 until there is an answer. Of the
    Authorization header only the scheme is kept.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(hash=False)
    status: int
    received: int
    sent: int


@dataclass(frozen=True, slots=True)
class Requests(Sequence[Request]):
    """Requests in their order of arrival."""

    all: tuple[Request, ...]

    @property
    def received(self) -> int:
        """Bytes of the requests' bodies together."""
        return sum(one.received for one in self.all)

    @property
    def sent(self) -> int:
        """Bytes of the answers' bodies together."""
        return sum(one.sent for one in self.all)

    @overload
    def __getitem__(self, index: int) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Request]: ...
    def __getitem__(self, index: int | slice) -> Request | Sequence[Request]:
        return self.all[index]

    def __len__(self) -> int:
        return len(self.all)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.all)


def matches(method: str, path: str, *, wanted_method: str, wanted_path: str) -> bool:
    """Whether a request is meant; in what is wanted ``*`` is any text, ``/`` too."""
    return fnmatchcase(method, wanted_method) and fnmatchcase(path, wanted_path)


class Entry:
    """A request that is being answered; written by the server, read by everybody."""

    __slots__ = ("_headers", "_method", "_path", "_query", "received", "sent", "status")

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> None:
        self._method, self._path, self._query = method, path, query
        self._headers = {name.title(): _discreet(name, value) for name, value in headers.items()}
        self.status = self.received = self.sent = 0

    def seen(self) -> Request:
        """The entry as a value."""
        return Request(self._method, self._path, self._query, self._headers, self.status, self.received, self.sent)


class Log:
    """All requests. An entry is there before its request is answered, so nobody who has an answer misses it."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._changed = threading.Condition()

    def add(self, entry: Entry) -> None:
        with self._changed:
            self._entries.append(entry)

    def clear(self) -> None:
        with self._changed:
            self._entries.clear()

    def requests(self, method: str = "*", path: str = "*") -> Requests:
        with self._changed:
            seen: Iterable[Request] = [one.seen() for one in self._entries]
        return Requests(
            tuple(one for one in seen if matches(one.method, one.path, wanted_method=method, wanted_path=path))
        )

    def changed(self) -> None:
        """Wake who waits."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Until the condition holds; False when it did not within so many seconds."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)


def _discreet(name: str, value: str) -> str:
    return value.partition(" ")[0] if name.lower() == "authorization" else value
