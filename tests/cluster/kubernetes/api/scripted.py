"""An HTTP server that gives the answers of a list, one a request, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import Access
from shipway.cluster.kubernetes.api.login import Fixed, Login
from shipway.cluster.kubernetes.api.server import Server
from shipway.cluster.kubernetes.api.tls import Tls
from shipway.cluster.kubernetes.api.transport import Pace

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Script:
    """What is still to be answered, and what was asked; the last answer is given again and again."""

    answers: list[Answer]
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def api(self, login: Login | None = None, tls: Tls | None = None) -> Api:
        """A client that waits for nothing, and remembers for how long it would have."""

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)

        access = Access(Server(self.url, "prod", "the token of anna"), login or Fixed(), tls or Tls())
        return Api.connect(access, pace=Pace(sleep, lambda: 0.0))


@asynccontextmanager
async def served(*answers: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    script = Script(list(answers))
    app = web.Application(client_max_size=1 << 24)
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    script.url = f"http{'s' if context else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield script
    finally:
        await runner.cleanup()


def says(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(document, status=status, headers=headers)

    return answer


def refuses(
    status: int, message: str = "", reason: str = "", headers: Mapping[str, str] | None = None, **details: Any
) -> Answer:
    """Kubernetes' Status."""
    document = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": status}
    return says(document | ({"details": details} if details else {}), status, headers)


def streams(*pieces: bytes, broken: bool = False) -> Answer:
    """A chunked answer in these pieces; ``broken``: the connection ends without the last chunk."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if broken:
            assert request.transport
            request.transport.close()
        return response

    return answer


async def drops(request: web.Request) -> web.StreamResponse:
    """No answer: the connection is closed."""
    assert request.transport
    request.transport.close()
    return web.Response()


def line(type_: str, **metadata: Any) -> bytes:
    """An event of a watch."""
    return json.dumps({"type": type_, "object": {"metadata": metadata}}).encode() + b"\n"


def pod(name: str, version: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version, "labels": labels}}


def page(*items: dict[str, Any], version: str, token: str = "") -> Answer:
    return says({"metadata": {"resourceVersion": version, "continue": token}, "items": list(items)})
