"""What granian gives for a request, as far as we use it.

Source: granian's RSGI specification, 1.6; and its source where the specification is silent, which is said below.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

Headers = tuple[tuple[str, str], ...]


class Incoming(Protocol):
    """The headers of a request, names in lower case; of a repeated one the first."""

    def get(self, key: str, default: Any = None) -> Any: ...


class Scope(Protocol):
    """The head of a request. Every attribute is made anew when it is read. ``path`` is percent-decoded."""

    @property
    def http_version(self) -> str: ...

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def client(self) -> str: ...

    @property
    def headers(self) -> Incoming: ...


class Departure(Protocol):
    """A future that ends when the client's connection does. granian wakes only one of those of a connection."""

    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...

    def cancel(self) -> bool: ...


class Exchange(Protocol):
    """The rest of a request and the way to answer."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body. Raises when it breaks off."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Its chunks. Where it breaks off, they end as if that were all."""

    def client_disconnect(self) -> Departure: ...

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...

    def response_file(self, status: int, headers: Headers, file: str) -> None:
        """Read the file to its end, as fast as the client takes it."""
