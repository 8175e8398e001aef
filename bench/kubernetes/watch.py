"""A watch cache of 5,000 Pods: its memory, its CPU at rest and while Pods change."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.home import ROOT
from bench.processes import Process
from bench.report import Figure
from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import Access
from shipway.cluster.kubernetes.api.resources import PODS
from shipway.cluster.kubernetes.api.server import Server
from shipway.cluster.kubernetes.watch.cache import Cache

COUNT = 5_000
SECONDS = 30.0
CHANGES = 20.0  # a second: a rollout of a large service


def watch(repeat: int) -> Iterator[Figure]:
    """Each sample is a process of its own that has nothing else in it."""
    rest = [_sample(0) for _ in range(repeat)]
    busy = [_sample(CHANGES) for _ in range(repeat)]
    name = f"watch cache, {COUNT} Pods"
    yield Figure(f"{name}: memory", "MB", tuple(one["memory"] / 1e6 for one in rest), 150)
    yield Figure(f"{name}: memory at most, while it listed", "MB", tuple(one["peak"] / 1e6 for one in rest), 150)
    yield Figure(f"{name}: first list", "s", tuple(one["list"] for one in rest))
    yield Figure(f"{name}: CPU at rest", "%", tuple(one["cpu"] for one in rest), 1)
    yield Figure(f"{name}: CPU, {CHANGES:g} changes a second", "%", tuple(one["cpu"] for one in busy))


def _sample(changes: float) -> dict[str, float]:
    with _served(changes) as url:
        done = subprocess.run(
            [sys.executable, "-m", "bench.kubernetes.watch", url], cwd=ROOT, capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def _served(changes: float) -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.kubernetes.pods", str(COUNT), str(changes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait()


async def _measure(url: str) -> dict[str, float]:
    async with Api.connect(Access(Server(url))) as api:
        mine = Process(os.getpid(), "", "hub")
        before, least, start = mine.pss, _most(), time.perf_counter()
        cache = Cache(api, PODS, namespace="ml", clock=SystemClock())
        await cache.start()
        if len(cache.items()) != COUNT:
            raise SystemExit(f"the cache holds {len(cache.items())} Pods")
        took, peak = time.perf_counter() - start, _most()
        cpu, start = time.process_time(), time.perf_counter()
        await asyncio.sleep(SECONDS)
        share = (time.process_time() - cpu) / (time.perf_counter() - start) * 100
        found = {"memory": mine.pss - before, "peak": peak - least, "list": took, "cpu": share}
        await cache.close()
    return found


def _most() -> int:
    """Bytes of memory that this process had at most until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(sys.argv[1]))))
