"""Requests to one API server: credentials, tries, limits. What a request is for is nobody's business here.

Sources: client-go's transport and its retries (429 and 5xx with Retry-After); "full jitter" of the AWS Architecture
Blog, "Exponential Backoff And Jitter" (2015).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import secrets
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import aiohttp

from shipway.clock import wall
from shipway.cluster.kubernetes.api import expiry, faults, refusals, tls
from shipway.cluster.kubernetes.api.calls import Call
from shipway.cluster.kubernetes.api.credentials import Access
from shipway.cluster.kubernetes.api.lines import start
from shipway.cluster.kubernetes.api.login import Certificate, Credential
from shipway.errors import UserError

_T = TypeVar("_T")

_AT_ONCE = 8  # requests; more would only wait in the server's own queue of our flow (API Priority and Fairness)
_CONNECT, _ANSWER = 10.0, 60.0  # seconds; the server gives up an ordinary request after 60
_PATIENCE = 30.0  # seconds of waiting between the tries of one request, all together
_FIRST, _LONGEST = 0.25, 8.0  # seconds between two tries
_BUSY = frozenset({429, 502, 503, 504})
_LARGEST_STATUS = 64 << 10  # bytes of a refusal that are read
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_KEPT_WARNINGS = 100
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Time and chance, as arguments: waiting, a number in [0, 1), and the wall clock."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = secrets.SystemRandom().random
    wall: Callable[[], datetime] = wall


REAL = Pace()


class _Failed(Exception):
    """A try that failed; ``again``: another may do better, in ``wanted`` seconds at the earliest."""

    def __init__(self, error: Exception, again: bool, wanted: float = 0.0) -> None:
        super().__init__(error)
        self.error = error
        self.again = again
        self.wanted = wanted


class Transport:
    """The connections to one API server, made when they are needed."""

    def __init__(self, access: Access, pace: Pace) -> None:
        self.access = access
        self.warnings: deque[str] = deque(maxlen=_KEPT_WARNINGS)
        self._pace = pace
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._context: tuple[Certificate | None, ssl.SSLContext] | None = None

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)  # what was aborted is closed in the loop's next turn

    async def ask(self, call: Call) -> Any:
        """The answer's JSON; its text when it is none."""
        return await self._tried(call, _whole)

    @asynccontextmanager
    async def opened(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read while it comes. What breaks it later is raised as ClusterUnreachable."""
        response = await self._tried(call, _itself)
        try:
            yield response
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: half a line of JSON
            raise faults.broken(error, call, self.access.server) from error
        finally:
            # A stream that we leave in its midst: TLS would wait for the server to say good-bye.
            if response.connection and response.connection.transport:
                response.connection.transport.abort()
            response.close()

    @asynccontextmanager
    async def websocket(self, call: Call, protocols: Sequence[str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Raises what a refusal means, as for any request."""
        credential = await self.access.login.credential()
        url, options = self._prepared(call, credential)
        # The kubelet, whose answer it is, has no JSON here: asked for it, it says 406.
        options["headers"]["Accept"] = "*/*"
        try:
            socket = await self._opened_session().ws_connect(
                url, protocols=protocols, max_msg_size=0, autoclose=True, compress=0, **options
            )
        except aiohttp.WSServerHandshakeError as error:
            # Its reason is lost with the answer's body; without the wish for a WebSocket the server says it once more.
            await self.ask(replace(call, attempts=1))
            raise refusals.error(error.status, {"message": error.message}, call, self.access.server) from None
        except (aiohttp.ClientError, OSError) as error:
            raise faults.unreachable(error, self.access.server) from error
        async with socket:
            yield socket

    async def _tried(self, call: Call, read: Callable[[aiohttp.ClientResponse], Awaitable[_T]]) -> _T:
        renewed, waited, failures = False, 0.0, 0
        while True:
            credential = await self.access.login.credential()
            try:
                return await self._once(call, credential, read)
            except _Failed as failed:
                error, again, wanted = failed.error, failed.again, failed.wanted
            if getattr(error, "status", 0) == 401 and not renewed:
                renewed = True
                self.access.login.refused(credential)
                if await self.access.login.credential() != credential:
                    continue
            failures += 1
            chance = self._pace.chance()
            # A server's own number is a floor: all who were told the same one must not come back at the same moment.
            pause = wanted + _FIRST * chance if wanted else min(_LONGEST, _FIRST * 2**failures) * (0.5 + chance / 2)
            waited += pause
            if not again or failures >= call.attempts or waited > _PATIENCE:
                raise error
            log.debug("%s: %s; again in %.1f s", call, error, pause)
            await self._pace.sleep(pause)

    async def _once(
        self, call: Call, credential: Credential, read: Callable[[aiohttp.ClientResponse], Awaitable[_T]]
    ) -> _T:
        url, options = self._prepared(call, credential)
        response: aiohttp.ClientResponse | None = None
        try:
            async with self._slots:
                response = await self._opened_session().request(
                    call.method, url, data=call.body, timeout=_timeout(call), allow_redirects=False, **options
                )
                self._note(response)
                if response.status >= 400:
                    raise await self._refusal(call, credential, response)
                return await read(response)
        except (aiohttp.ClientError, OSError) as error:
            if response:
                response.close()
            unsent = isinstance(error, aiohttp.ClientConnectorError)
            certain = isinstance(error, aiohttp.ClientSSLError)  # the next try meets the same certificate
            fault = faults.unreachable(error, self.access.server) if response is None else None
            raise _Failed(
                fault or faults.broken(error, call, self.access.server), (call.again or unsent) and not certain
            ) from error

    async def _refusal(self, call: Call, credential: Credential, response: aiohttp.ClientResponse) -> _Failed:
        text = await start(response.content, _LARGEST_STATUS)
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        response.release()
        status, wanted = response.status, response.headers.get("Retry-After", "")
        # 429 comes before anything was done. A 500 may pass (etcd has no leader for a moment).
        again = status == 429 or (call.again and (status in _BUSY or status == 500))
        ended = expiry.of(credential) if status == 401 else None
        found = refusals.error(
            status,
            document if isinstance(document, dict) else {},
            call,
            self.access.server,
            ended=ended if ended and ended < self._pace.wall() else None,
        )
        return _Failed(found, again and not isinstance(found, UserError), float(wanted) if wanted.isdigit() else 0.0)

    def _prepared(self, call: Call, credential: Credential) -> tuple[str, dict[str, Any]]:
        access = self.access
        query = {name: value for name, value in call.params.items() if value}
        headers = {"Accept": "application/json"}
        if credential.header:
            headers["Authorization"] = credential.header
        if call.content_type:
            headers["Content-Type"] = call.content_type
        options: dict[str, Any] = {"params": query, "headers": headers, "ssl": self._tls(credential.certificate)}
        if access.tls.server_name:
            options["server_hostname"] = access.tls.server_name
        if access.proxy:
            options["proxy"] = access.proxy
        return access.server.url.rstrip("/") + call.path, options

    def _tls(self, certificate: Certificate | None) -> ssl.SSLContext:
        """One for all requests with the same certificate: the pool of connections goes by it."""
        if self._context is None or self._context[0] != certificate:
            made = tls.context(self.access.tls, certificate, self.access.server)
            self._context = certificate, made
        return self._context[1]

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "shipway", "Accept-Encoding": "gzip"},
                trust_env=False,  # a proxy is chosen from the user's environment, not from the hub's
            )
        return self._session

    def _note(self, response: aiohttp.ClientResponse) -> None:
        for header in response.headers.getall("Warning", ()):
            for quoted in _WARNING.findall(header):
                text = re.sub(r"\\(.)", r"\1", quoted)
                if text not in self.warnings:
                    self.warnings.append(text)
                    log.warning("%s: %s", self.access.server, text)


def _timeout(call: Call) -> aiohttp.ClientTimeout:
    if call.stream is None:
        return aiohttp.ClientTimeout(total=_ANSWER, sock_connect=_CONNECT)
    return aiohttp.ClientTimeout(total=call.stream or None, sock_connect=_CONNECT)


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A watch may be silent for minutes; only keep-alive tells one whose server is gone from a quiet one."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in _KEEPALIVE:
        made.setsockopt(socket.IPPROTO_TCP, option, seconds)
    return made


async def _itself(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    return response


async def _whole(response: aiohttp.ClientResponse) -> Any:
    text = await response.read()
    if "json" in response.headers.get("Content-Type", "json"):
        return json.loads(text) if text else None
    return text.decode(errors="replace")
