"""Requests to registries: authentication, redirects, tries. What a request is for is nobody's business here."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self, TypeVar
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from shipway.clock import wall
from shipway.errors import EnvironmentFault, RegistryRefused, RegistryUnreachable
from shipway.oci.registry import errors, headers, location, retry
from shipway.oci.registry.auth import Authorizer, TokenRequest, loopback
from shipway.oci.registry.credentials import Credentials
from shipway.oci.registry.limits import Limits
from shipway.oci.registry.retry import Tries

Body = bytes | AsyncIterable[bytes]
Headers = Mapping[str, str]
_Result = TypeVar("_Result")

_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_READ = 1 << 20  # bytes that a connection may have read ahead of us

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Time and chance, as arguments: the wall clock for dates, waiting, and a number in [0, 1)."""

    wall: Callable[[], datetime] = wall
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = secrets.SystemRandom().random


REAL = Pace()


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``host`` is the registry that it is for, as a reference has it; ``url`` may lead elsewhere.

    A stream as ``body`` can be sent only once: the caller begins again, and knows where.
    """

    method: str
    host: str
    url: str
    scopes: frozenset[str] = frozenset()
    headers: Headers = field(default_factory=dict)
    body: Body | None = None
    most: int = errors.LARGEST  # bytes of the answer that are read
    patience: float | None = None  # seconds for the answer; None: as Limits.stall says
    warn: Callable[[str], None] = log.warning


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; ``url`` is where it came from in the end."""

    status: int
    headers: Headers
    body: bytes
    url: str


class Failed(Exception):
    """A try that failed of ``error``, and whether another may do better: the status, and the Retry-After in seconds.

    Without status it is as if the connection had broken.
    """

    def __init__(self, error: EnvironmentFault, status: int | None = None, wanted: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status
        self.wanted = wanted


class Transport:
    """The connections to all registries; each registry's credentials are shown to that registry only."""

    def __init__(
        self, credentials: Credentials, limits: Limits, *, plain_http: bool | str | None = None, pace: Pace = REAL
    ) -> None:
        self.limits = limits
        self._credentials = credentials
        self._plain_http = plain_http
        self._pace = pace
        self._authorizers: dict[str, Authorizer] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        # It reads hundreds of certificates, and SSL_CERT_FILE and SSL_CERT_DIR where they are set.
        context = await asyncio.to_thread(ssl.create_default_context)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ,
            middlewares=(_once,),
            headers={"User-Agent": "shipway", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    def base(self, host: str) -> str:
        """``https://host``, or http where that is allowed: on this machine, and where it was asked for."""
        plain = self._plain_http
        if not isinstance(plain, bool):
            plain = host == plain or loopback(host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host)
        return f"{'http' if plain else 'https'}://{_DOCKER_HUB.get(host, host)}"

    def now(self) -> float:
        """Seconds of a clock that nobody sets."""
        return asyncio.get_running_loop().time()

    async def answer(self, request: Request, ok: Container[int]) -> Answer:
        """Send until there is an answer whose status is in ``ok``; errors of the tree for all others.

        For requests that may be repeated, and whose body is bytes.
        """

        async def attempt() -> Answer:
            async with self.good(request, ok) as response:
                return await whole(response, request)

        return await self.persist(attempt)

    async def persist(self, attempt: Callable[[], Awaitable[_Result]], done: Callable[[], int] = int) -> _Result:
        """Try until it succeeds, or until there is no sense in trying again; then raises what the last try failed of.

        ``done`` measures progress: a try that made some does not count as a failure.
        """
        tries, most = Tries(), done()
        while True:
            try:
                return await attempt()
            except Failed as error:
                failed = error
            except RegistryUnreachable as error:
                failed = Failed(error)
            if done() > most:
                tries, most = Tries(), done()
            tries = await self.again(tries, failed)

    async def again(self, tries: Tries, failed: Failed) -> Tries:
        """Wait for as long as a failed try asks for; raises its error when there is to be no other."""
        tries = tries.failed()
        seconds = retry.pause(
            tries,
            self._pace.chance(),
            status=failed.status,
            wanted=failed.wanted,
            attempts=self.limits.attempts,
            patience=self.limits.patience,
        )
        if seconds is None:
            raise failed.error
        log.info("again in %.1f s: %s", seconds, failed.error.message)
        await self._pace.sleep(seconds)
        return tries.after(seconds)

    @asynccontextmanager
    async def good(self, request: Request, ok: Container[int]) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try that has to end with a status in ``ok``; else raises Failed or RegistryUnreachable."""
        async with self.open(request) as response:
            if response.status not in ok:
                raise await self.failed(request, response)
            yield response

    async def failed(self, request: Request, response: aiohttp.ClientResponse) -> Failed:
        """What an answer is that was not hoped for."""
        wanted = headers.retry_after(response.headers.get("Retry-After", ""), self._pace.wall())
        answer = await whole(response, request)
        return Failed(self._refusal(request, answer.status, answer.body), answer.status, wanted)

    async def breathe(self) -> None:
        """Wait for longer than a request takes, and not for the same time as others."""
        await self._pace.sleep(retry.FIRST * (1 + self._pace.chance()))

    def alone(self, url: str) -> asyncio.Lock:
        """Who holds it is the only one of this client to read, change and write what is there."""
        return self._locks.setdefault(url, asyncio.Lock())

    def _refusal(self, request: Request, status: int, body: bytes) -> EnvironmentFault:
        scope = " ".join(sorted(request.scopes))
        return errors.refusal(request.method, request.url, status, body, host=request.host, scope=scope)

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try: the answer, whatever its status, its body not yet read. Raises RegistryUnreachable without one.

        A 401 is tried again with what it asks for; when the body was a stream that is left to the next try, and Failed
        is raised. Redirects are followed for requests without a body.
        """
        authorizer = self._authorizer(request.host)
        shown: str | None = None
        for number in range(3):
            show = await authorizer.header(request.scopes)
            if number and show == shown:
                break
            shown = show
            async with self._sent(request, shown) as response:
                if response.status != 401 or location.origin(str(response.url)) != location.origin(request.url):
                    yield response
                    return
                authorizer.learn(shown, request.scopes, response.headers.getall("WWW-Authenticate", []))
                failed = await self.failed(request, response)
                if not repeatable(request):
                    raise Failed(failed.error)
        raise failed.error

    @asynccontextmanager
    async def _sent(self, request: Request, authorization: str | None) -> AsyncIterator[aiohttp.ClientResponse]:
        url, hops = request.url, 0
        home = location.origin(self.base(request.host))
        while True:
            # Only the registry itself sees its credentials: not the storage that it sends us to.
            shown = {"Authorization": authorization} if authorization and location.origin(url) == home else {}
            async with self._exchange(replace(request, url=url), {**request.headers, **shown}) as response:
                for text in headers.warnings(response.headers.getall("Warning", [])):
                    request.warn(f"{request.host} warns: {text}")
                target = response.headers.get("Location", "")
                if response.status not in location.REDIRECTS or request.body is not None:
                    yield response
                    return
            hops += 1
            if hops > location.MOST_REDIRECTS:
                raise errors.broken(request.method, request.url, f"more than {location.MOST_REDIRECTS} redirects")
            url = location.follow(request.method, url, target)

    @asynccontextmanager
    async def _exchange(self, request: Request, sent: Headers) -> AsyncIterator[aiohttp.ClientResponse]:
        # Who sends a stream watches over it: an answer may take longer than any pause within the stream.
        stall = request.patience or (self.limits.stall if repeatable(request) else None)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self.limits.connect, sock_read=stall)
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=sent,
                data=request.body,
                allow_redirects=False,
                timeout=timeout,
                proxy=_proxy(request.url),
            ) as response:
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            raise RegistryRefused(
                f"{request.method} {errors.plain(request.url)}: its certificate is not trusted "
                f"({headers.printable(str(error.certificate_error))})",
                next_step="Name the authority that signed it: SSL_CERT_FILE=/path/to/ca.pem, and start the hub anew.",
            ) from None
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError) as error:
            raise errors.unreachable(request.method, request.url, _why(error, stall)) from None

    def _authorizer(self, host: str) -> Authorizer:
        if host not in self._authorizers:
            self._authorizers[host] = Authorizer(host, self._credentials, self._ask_token, self.now)
        return self._authorizers[host]

    async def _ask_token(self, host: str, asked: TokenRequest) -> bytes:
        sent = {"Authorization": asked.basic} if asked.basic else {}
        request = Request("GET", host, asked.url)
        if asked.form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            request = Request("POST", host, asked.url, body=urlencode(asked.form).encode())

        async def attempt() -> bytes:
            async with self._exchange(request, sent) as response:
                if response.status != 200:
                    raise await self.failed(request, response)
                return (await whole(response, request)).body

        return await self.persist(attempt)


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a PUT again by itself when its connection broke: it would add to the upload that it
    was to end. Whether a request is sent again is decided here, by who knows what it does.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


def repeatable(request: Request) -> bool:
    """Whether a request can be sent a second time as it is."""
    return request.body is None or isinstance(request.body, bytes)


async def whole(response: aiohttp.ClientResponse, request: Request) -> Answer:
    """An answer with its body; of an error's body the beginning. Raises RegistryBroken when another is too large."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > request.most:
            if response.status < 400:
                raise errors.broken(request.method, request.url, f"the answer has more than {request.most} bytes")
            break
    return Answer(response.status, response.headers, bytes(body[: request.most]), str(response.url))


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL, as Python's own client finds it; none to this machine."""
    scheme, host, _ = location.origin(url)
    if loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(scheme)


def _why(error: Exception, stall: float | None) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {stall:.0f} s" if stall else "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0  # of a name that is not found it is negative, and not the system's
        return f"cannot connect: {os.strerror(number) if number > 0 else error.os_error.strerror or error.os_error}"
    return f"the connection broke ({str(error) or type(error).__name__})"
