"""What is shown to one registry: a password, or a token that was got for it. Never shown to another server.

Sources: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit, urlunsplit

from shipway.errors import RegistryBroken
from shipway.oci import document as documents
from shipway.oci.registry import challenge, errors
from shipway.oci.registry.challenge import Challenge
from shipway.oci.registry.credentials import Credential, Credentials

CLIENT = "shipway"

_LONGEST = 86400.0  # seconds for which a token is believed
_SHORTEST = 60.0  # seconds that a token is good for when the server does not say (the specification's default)
_PASSWORD = 300.0  # seconds for which a password is not asked for again
_MARGIN = 10.0  # seconds before its end at which a token is not begun with any more


@dataclass(frozen=True, slots=True)
class Shown:
    """A value of ``Authorization``, and until when (seconds of the steady clock) it may be shown."""

    value: str | None = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """How a token is asked for: GET with a password or without, POST with an identity token (``form``)."""

    url: str
    basic: str | None = None
    form: Mapping[str, str] | None = None


# Sends a token request for a registry, redirects refused: the body of a 200, errors of the tree for all else.
AskToken = Callable[[str, TokenRequest], Awaitable[bytes]]


def loopback(host: str) -> bool:
    """Whether a host, as URLs have it without port, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def token_request(wanted: Challenge, scopes: Sequence[str], credential: Credential | None) -> TokenRequest:
    """How to ask for a token. Raises RegistryBroken for a realm that is neither https nor on this machine."""
    realm = wanted.parameters["realm"]
    try:
        parts = urlsplit(realm)
        trusted = bool(parts.hostname) and (
            parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname or ""))
        )
    except ValueError:
        trusted = False
    if not trusted:
        raise RegistryBroken(
            f"the registry sends to {errors.plain(realm)} for a token: allowed are https, and http on this machine",
            next_step="Tell who runs the registry; credentials were not sent there.",
        )
    service = wanted.parameters.get("service", "")
    if credential is not None and credential.identity_token:
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": credential.identity_token}
        return TokenRequest(realm, form={**form, "service": service, "scope": " ".join(scopes)})
    asked = [("service", service)] * bool(service) + [("scope", one) for one in scopes]
    url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(asked)))), fragment=""))
    return TokenRequest(url, basic=basic(credential) if credential else None)


def basic(credential: Credential) -> str:
    """The value of ``Authorization`` for a password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()


def token(body: bytes, now: float) -> Shown:
    """A token server's answer. Raises ValueError when it holds no token that a header can carry."""
    document = documents.read(body)
    found = document.get("token") or document.get("access_token")
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or " " in found:
        raise ValueError("no token")
    lasts = document.get("expires_in")
    seconds = float(min(lasts, _LONGEST)) if isinstance(lasts, int | float) and lasts > 0 else _SHORTEST
    return Shown(f"Bearer {found}", now + max(seconds - _MARGIN, seconds / 2))


class Authorizer:
    """What one registry has been found to want. A token is kept for each set of scopes, and got once at a time."""

    def __init__(self, host: str, credentials: Credentials, ask: AskToken, now: Callable[[], float]) -> None:
        self._host = host
        self._credentials = credentials
        self._ask = ask
        self._now = now
        self._challenge: Challenge | None = None
        self._known: dict[frozenset[str], Shown] = {}
        self._lock = asyncio.Lock()

    async def header(self, scopes: frozenset[str]) -> str | None:
        """``Authorization`` for requests that need these scopes; None when none was asked for, or nothing is known."""
        wanted = self._challenge
        if wanted is None:
            return None
        async with self._lock:
            known = self._known.get(scopes)
            if known is None or known.until <= self._now():
                known = await (self._password() if wanted.scheme == "basic" else self._token(wanted, scopes))
                self._known[scopes] = known
        return known.value

    def learn(self, shown: str | None, scopes: frozenset[str], answered: Sequence[str]) -> None:
        """Learn from a 401 what is wanted. ``shown`` was not good enough: it is given up, for all who show it."""
        self._challenge = challenge.best(answered) or self._challenge
        known = self._known.get(scopes)
        if known is not None and shown == known.value:
            del self._known[scopes]

    async def _password(self) -> Shown:
        # Kept for a while: where a helper has it, each question is a process, and there may be thousands of requests.
        credential = await self._credentials.of(self._host)
        return Shown(basic(credential) if credential and credential.username else None, self._now() + _PASSWORD)

    async def _token(self, wanted: Challenge, scopes: frozenset[str]) -> Shown:
        request = token_request(wanted, sorted(scopes), await self._credentials.of(self._host))
        body = await self._ask(self._host, request)
        try:
            return token(body, self._now())
        except (ValueError, RecursionError):
            method = "GET" if request.form is None else "POST"
            raise errors.broken(method, request.url, "the answer holds no token") from None
