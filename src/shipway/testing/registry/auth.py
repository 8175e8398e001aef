"""Who may do what: HTTP Basic, or a bearer token of a token endpoint.

Source: RFC 7617; the distribution project's "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shipway.testing.registry.answers import Answer, error

SERVICE = "shipway-fake-registry"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request needs: ``pull``, ``push`` or ``delete`` in a repository; an empty one: to be somebody."""

    repository: str = ""
    action: str = ""

    @property
    def scope(self) -> str:
        """As a challenge says it: a client that may push is to ask for both at once."""
        actions = {"push": "pull,push"}.get(self.action, self.action)
        return f"repository:{self.repository}:{actions}" if self.repository else ""


class Auth(Protocol):
    """How a registry knows its users."""

    def challenge(self, wanted: Wanted, url: str) -> str:
        """What a registry at that URL says in WWW-Authenticate."""

    def allows(self, authorization: str, wanted: Wanted) -> bool:
        """Whether that header is enough."""


@dataclass(frozen=True, slots=True)
class Basic:
    """One user, known by name and password on every request."""

    user: str
    password: str

    def challenge(self, wanted: Wanted, url: str) -> str:
        return f'Basic realm="{SERVICE}"'

    def allows(self, authorization: str, wanted: Wanted) -> bool:
        return _basic(authorization) == (self.user, self.password)


class Bearer:
    """One user, who gets tokens at ``/token`` for scopes, valid for ``lifetime`` seconds of ``clock``.

    ``anonymous`` are the actions that a token without a user may have; ``identity`` is a refresh token, as
    ``docker login`` keeps it for some registries (``identitytoken``).
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        lifetime: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        anonymous: Iterable[str] = (),
        identity: str = "",
    ) -> None:
        self._user, self._password, self._identity = user, password, identity
        self._lifetime, self._clock = lifetime, clock
        self._anonymous = frozenset(anonymous)
        self._tokens: dict[str, tuple[float, frozenset[tuple[str, str]]]] = {}
        self._lock = threading.Lock()

    def expire(self) -> None:
        """No token that was given until now is valid any more."""
        with self._lock:
            self._tokens.clear()

    def challenge(self, wanted: Wanted, url: str) -> str:
        scope = f',scope="{wanted.scope}"' if wanted.scope else ""
        return f'Bearer realm="{url}/token",service="{SERVICE}"{scope}'

    def allows(self, authorization: str, wanted: Wanted) -> bool:
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            until, granted = self._tokens.get(token, (float("-inf"), frozenset()))
        if scheme.lower() != "bearer" or self._clock() >= until:
            return False
        return not wanted.repository or (wanted.repository, wanted.action) in granted

    def token(self, authorization: str, query: Mapping[str, list[str]], form: Mapping[str, list[str]]) -> Answer:
        """What the token endpoint answers: GET with Basic, or POST with a password or a refresh token."""
        known = self._knows(authorization, form)
        if not known and (form or authorization):
            return error("UNAUTHORIZED", "the user or the password is wrong")
        scopes = [one for text in (form or query).get("scope", []) for one in text.split()]
        granted = frozenset(
            (repository, action) for repository, action in _actions(scopes) if known or action in self._anonymous
        )
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[token] = self._clock() + self._lifetime, granted
        return Answer.json({"token": token, "access_token": token, "expires_in": int(self._lifetime)})

    def _knows(self, authorization: str, form: Mapping[str, list[str]]) -> bool:
        if not form:
            return _basic(authorization) == (self._user, self._password)
        if form.get("grant_type") == ["refresh_token"]:
            return bool(self._identity) and form.get("refresh_token") == [self._identity]
        return (form.get("username"), form.get("password")) == ([self._user], [self._password])


def _actions(scopes: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        repository, _, actions = rest.rpartition(":")
        if kind == "repository":
            found += [(repository, action) for action in actions.split(",")]
    return found


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password
