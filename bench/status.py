"""``shipway status`` with 500 services: the whole command, and what of it is the hub's answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from bench.fleet import fleet
from bench.home import home
from bench.quiet_hub import served
from bench.report import Figure
from shipway import home as keep
from shipway.settings import Settings

SERVICES = 500


def status(repeat: int) -> Iterator[Figure]:
    """The services are rolled out, each with a model of its own; the hub that answers does nothing else."""
    with home() as place:
        where = Settings(place.path)
        keep.own(where)
        asyncio.run(_settle(where))
        with served(where) as client:

            def answer() -> float:
                start = time.perf_counter()
                shown = client.get("/v1/status")["objects"]
                if len(shown) < SERVICES:
                    raise SystemExit(f"the hub shows {len(shown)} objects of {SERVICES} services")
                return (time.perf_counter() - start) * 1e3

            def command() -> float:
                start = time.perf_counter()
                lines = place.run("status").splitlines()
                if len(lines) < SERVICES:
                    raise SystemExit(f"shipway status prints {len(lines)} lines for {SERVICES} services")
                return (time.perf_counter() - start) * 1e3

            for name, measure, bar in (("shipway status", command, 300), ("its answer from the hub", answer, None)):
                measure()  # the first warms the page cache
                samples = tuple(measure() for _ in range(repeat))
                yield Figure(f"{name}, {SERVICES} services", "ms", samples, bar)


async def _settle(where: Settings) -> None:
    async with fleet(where, SERVICES):
        pass
