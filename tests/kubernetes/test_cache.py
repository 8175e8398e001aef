"""The watch cache on a real API server that is killed under it: no update lost, none told twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api.client import Api, Expired
from shipway.cluster.kubernetes.api.credentials import read
from shipway.cluster.kubernetes.api.resources import CONFIG_MAPS
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch.cache import Cache
from shipway.errors import Conflict, EnvironmentFault
from tests.kubernetes.control_plane import ControlPlane

OBJECTS = 20


def config_map(namespace: str, name: str, count: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "x"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"count": str(count)}}


async def until(holds: Any) -> None:
    async with asyncio.timeout(90):
        while not holds():
            await asyncio.sleep(0.02)


def test_the_server_is_killed_twice_while_objects_change(own_control_plane: ControlPlane) -> None:
    plane = own_control_plane
    namespace = plane.namespace()
    told: list[tuple[str, str]] = []
    gone: list[str] = []

    def take(name: str, one: Manifest | None) -> None:
        if one is None:
            gone.append(name)
        elif "data" in one:
            told.append((name, str(one["metadata"]["resourceVersion"])))

    async def change(api: Api, stop: asyncio.Event) -> dict[str, int]:
        """What was written at last; what fails while the server is away is written again."""
        written: dict[str, int] = {}
        count = 0
        while not stop.is_set():
            count += 1
            name = f"m{count % OBJECTS}"
            try:
                await api.apply(config_map(namespace, name, count))
                written[name] = count
            except (EnvironmentFault, Conflict):
                await asyncio.sleep(0.1)
        return written

    async def go() -> None:
        async with Api.connect(read("", str(plane.kubeconfig), {})) as api:
            cache = Cache(api, CONFIG_MAPS, namespace=namespace, labels="app=x", clock=SystemClock())
            cache.subscribe(take)
            await cache.start()
            stop = asyncio.Event()
            writer = asyncio.create_task(change(api, stop))
            for _ in range(2):
                since = len(told)
                await until(lambda since=since: len(told) > since + OBJECTS)
                plane.kill()
                await until(lambda: cache.stale_since is not None)
                kept = cache.items()
                assert len(kept) == OBJECTS
                await asyncio.to_thread(plane.restart)
                await until(lambda: cache.stale_since is None)
            stop.set()
            written = await writer
            await api.delete(CONFIG_MAPS, "m0", namespace=namespace)
            await until(lambda: cache.get("m0") is None)
            del written["m0"]
            await until(
                lambda: (
                    {one["metadata"]["name"]: one["data"]["count"] for one in cache.items()}
                    == {name: str(count) for name, count in written.items()}
                )
            )
            assert gone == ["m0"]
            assert max(Counter(told).values()) == 1
            await cache.close()

    asyncio.run(go())


def test_a_version_from_before_the_server_began_is_expired(own_control_plane: ControlPlane) -> None:
    own_control_plane.restart()

    async def go() -> None:
        async with Api.connect(read("", str(own_control_plane.kubeconfig), {})) as api, asyncio.timeout(60):
            with pytest.raises(Expired):
                await anext(api.watch(CONFIG_MAPS, resource_version="1"))

    asyncio.run(go())
