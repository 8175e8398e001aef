"""A real API server that is killed under load and comes back: no update is lost, none is made twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api import credentials
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import CONFIG_MAPS
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch.cache import Cache
from shipway.errors import ClusterRefused, ClusterUnreachable
from tests.kubernetes.control_plane import ControlPlane

OBJECTS, WRITES = 8, 12


def config_map(namespace: str, name: str, round: int) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": {"load": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"round": str(round)}}


async def write(api: Api, namespace: str, name: str, refused: Counter[str]) -> None:
    """Each round until it holds: apply may be repeated."""
    for round in range(WRITES):
        while True:
            try:
                await api.apply(config_map(namespace, name, round))
                break
            except (ClusterUnreachable, ClusterRefused) as error:
                refused[type(error).__name__] += 1
                await asyncio.sleep(0.05)


def is_stale(cache: Cache) -> bool:
    return cache.stale_since is not None


def test_killed_under_load_and_back(own_control_plane: ControlPlane) -> None:
    namespace = own_control_plane.namespace()
    refused: Counter[str] = Counter()
    seen: dict[str, list[int]] = {}

    def note(name: str, found: Manifest | None) -> None:
        if found is not None:
            seen.setdefault(name, []).append(int(found["data"]["round"]))

    async def run() -> None:
        access = credentials.read("", str(own_control_plane.kubeconfig), {})
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(Api.connect(access))
            cache = Cache(api, CONFIG_MAPS, namespace=namespace, labels="load=yes", clock=SystemClock())
            cache.subscribe(note)
            await cache.start()
            stack.push_async_callback(cache.close)
            writers = [asyncio.create_task(write(api, namespace, f"load-{n}", refused)) for n in range(OBJECTS)]
            while sum(map(len, seen.values())) < OBJECTS * 2:
                await asyncio.sleep(0.01)
            own_control_plane.kill()
            while not (is_stale(cache) and refused):
                await asyncio.sleep(0.01)
            assert len(cache.items()) == len(seen)  # shown as it was seen last
            await asyncio.to_thread(own_control_plane.restart)
            await asyncio.gather(*writers)
            async with asyncio.timeout(30):
                while is_stale(cache) or any(rounds[-1] != WRITES - 1 for rounds in seen.values()):
                    await asyncio.sleep(0.01)
            listing = await api.list(CONFIG_MAPS, namespace=namespace, labels="load=yes")
            stored = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in listing.items}
            assert {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in cache.items()} == stored

    asyncio.run(asyncio.wait_for(run(), 120))
    assert refused["ClusterUnreachable"]
    assert len(seen) == OBJECTS
    for name, rounds in seen.items():
        assert rounds == sorted(set(rounds)), f"{name}: an update came twice, or late: {rounds}"
        assert rounds[-1] == WRITES - 1, name


def test_the_watch_goes_on_after_what_it_had_seen_is_forgotten(own_control_plane: ControlPlane) -> None:
    """A restarted API server knows of no change before: it says 410, and the list is read anew."""
    namespace = own_control_plane.namespace()

    async def run() -> None:
        access = credentials.read("", str(own_control_plane.kubeconfig), {})
        async with Api.connect(access) as api:
            await api.apply(config_map(namespace, "before", 0))
            cache = Cache(api, CONFIG_MAPS, namespace=namespace, labels="load=yes", clock=SystemClock())
            await cache.start()
            own_control_plane.kill()
            await asyncio.to_thread(own_control_plane.restart)
            await api.apply(config_map(namespace, "after", 0))
            async with asyncio.timeout(60):
                while len(cache.items()) < 2:
                    await asyncio.sleep(0.01)
            await cache.close()

    asyncio.run(run())
