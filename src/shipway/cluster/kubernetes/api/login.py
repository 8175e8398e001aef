"""Who we are for an API server, now: a header, a client certificate, or both.

A login is asked before each request, and told when what it gave was refused (401): the next credential may be another.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from shipway.errors import EnvironmentFault


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM of a client's certificates and of its key."""

    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """``header`` is the value of Authorization; empty for none."""

    header: str = field(default="", repr=False)
    certificate: Certificate | None = None


class Login(Protocol):
    """Where credentials come from."""

    async def credential(self) -> Credential:
        """What to show now. Raises EnvironmentFault when it cannot be had."""
        ...

    def refused(self, credential: Credential) -> None:
        """The server did not accept it; it is not to be given again if another can be had."""
        ...


class Fixed:
    """Always the same: a token or a password of a kubeconfig, or nobody."""

    def __init__(self, header: str = "") -> None:
        self._credential = Credential(header)

    async def credential(self) -> Credential:
        return self._credential

    def refused(self, credential: Credential) -> None:
        """There is no other one."""


def bearer(token: str) -> str:
    return f"Bearer {token.strip()}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class TokenFile:
    """The kubelet and others write a new token into the file long before the old one expires."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path, "the token file")

    async def credential(self) -> Credential:
        return Credential(bearer(self._file.read().decode()))

    def refused(self, credential: Credential) -> None:
        self._file.forget()


class Certified:
    """Adds a client certificate, read again when its files change."""

    def __init__(self, inner: Login, chain: Callable[[], bytes], key: Callable[[], bytes]) -> None:
        self._inner = inner
        self._chain = chain
        self._key = key

    async def credential(self) -> Credential:
        return replace(await self._inner.credential(), certificate=Certificate(self._chain(), self._key()))

    def refused(self, credential: Credential) -> None:
        self._inner.refused(replace(credential, certificate=None))


class _File:
    """A small file, read again when it is another one."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._seen: tuple[int, int, int] | None = None
        self._content = b""

    def read(self) -> bytes:
        try:
            state = self._path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self._content, self._seen = self._path.read_bytes(), seen
        except OSError as error:
            raise EnvironmentFault(
                f"{self._what} {self._path} cannot be read: {error.strerror}",
                next_step="The kubeconfig names it: log in to the cluster again, or correct the path there.",
            ) from None
        return self._content

    def forget(self) -> None:
        self._seen = None


def file(path: Path, what: str) -> Callable[[], bytes]:
    """What the file holds at each call. Raises EnvironmentFault that says ``what`` could not be read."""
    return _File(path, what).read
