"""A client of the fake, and the objects that its tests are about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from shipway.testing.kubernetes import FakeKubernetes, Kubelet
from shipway.testing.kubernetes.acting import Play

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
Object = dict[str, Any]


class Client:
    """JSON requests with the fake's token."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, body: Object | None = None) -> tuple[int, Any]:
        async with self.session.request(method, path, json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text

    async def lines(self, path: str, count: int) -> list[str]:
        """So many lines of a stream, or fewer where it ends."""
        found: list[str] = []
        async with asyncio.timeout(10), self.session.get(path) as answer:
            while len(found) < count and (line := await answer.content.readline()):
                found.append(line.decode().rstrip("\n"))
        return found


@asynccontextmanager
async def client_of(server: FakeKubernetes) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {server.access.token}", "User-Agent": "tests/1"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        yield Client(session)


def with_server(test: Callable[[FakeKubernetes, Client], Awaitable[None]]) -> None:
    async def run() -> None:
        async with FakeKubernetes() as server, client_of(server) as client:
            await test(server, client)

    asyncio.run(run())


def with_kubelet(test: Callable[[FakeKubernetes, Kubelet], Awaitable[None]], play: Play | None = None) -> None:
    async def run() -> None:
        async with FakeKubernetes() as server, Kubelet(server, play) as kubelet:
            await test(server, kubelet)

    asyncio.run(run())


def config_map(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


def template(*command: str, restart: str = "Always") -> Object:
    container = {"name": "main", "image": "example.com/web:1", "command": list(command)}
    spec = {"restartPolicy": restart, "containers": [container]}
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def deployment(replicas: int = 2, **spec: Any) -> Object:
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("serve"), **spec}
    return {"metadata": {"name": "web"}, "spec": whole}


def job(**spec: Any) -> Object:
    return {"metadata": {"name": "train"}, "spec": {"template": template("train", restart="Never"), **spec}}


def pod() -> Object:
    return {"metadata": {"name": "web"}, "spec": template("serve")["spec"]}
