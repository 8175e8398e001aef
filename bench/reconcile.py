"""What 1,000 settled services cost the hub: a pass with nothing to do, an edit of one, a second of rest.

CPU seconds of this process, so that what else the machine does counts little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from bench.fleet import Fleet, fleet
from bench.home import home
from bench.report import Figure
from shipway.controllers.updates import update
from shipway.kinds import ModelService
from shipway.settings import Settings

SERVICES = 1000
FEW = 100
REST = 10.0  # seconds


def reconcile(repeat: int) -> Iterator[Figure]:
    """A hub on a real store and journal, with a cluster and a gateway that do at once what they are asked."""
    many = _measured(SERVICES, repeat)
    few = _measured(FEW, repeat)
    yield Figure(f"reconcile pass with nothing to do, {SERVICES:,} services, CPU", "s", many["pass"], 1)
    yield Figure(f"reconcile pass with nothing to do, {FEW} services, CPU", "s", few["pass"])
    yield Figure(f"edit of one service to its end, beside {SERVICES:,}, CPU", "ms", many["edit"])
    yield Figure(f"edit of one service to its end, beside {FEW}, CPU", "ms", few["edit"])
    yield Figure(f"hub at rest, {FEW} services, CPU of a minute", "ms", few["rest"])
    yield Figure(f"hub with {SERVICES:,} services, descriptors", "", many["descriptors"])


def _measured(services: int, repeat: int) -> dict[str, tuple[float, ...]]:
    with home() as place:
        return asyncio.run(_measure(Settings(place.path), services, repeat))


async def _measure(where: Settings, services: int, repeat: int) -> dict[str, tuple[float, ...]]:
    where.home.mkdir()
    async with fleet(where, services) as made:
        version = made.objects.list("Cluster")[1]
        passes = await _samples(made.look_at_all, repeat)
        if made.objects.list("Cluster")[1] != version:
            raise SystemExit("a pass with nothing to do wrote something")
        rest = await _cpu(lambda: asyncio.sleep(REST))
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        numbers = iter(range(repeat + 1))
        edits = await _samples(lambda: _edit(made, next(numbers)), repeat)
    return {
        "pass": passes,
        "edit": tuple(1e3 * one for one in edits),
        "rest": (1e3 * rest * 60 / REST,),
        "descriptors": (float(descriptors),),
    }


async def _edit(made: Fleet, number: int) -> None:
    """A new environment variable: a revision, its replicas, the traffic, and the end of the one before."""
    name = f"service-{number:04d}"
    update(
        made.objects,
        ModelService,
        name,
        lambda one: one.model_copy(update={"spec": one.spec.model_copy(update={"env": {"LEVEL": "debug"}})}),
    )
    await made.settle()
    revision = made.objects.get("ModelService", name).status.ready_revision
    if revision != f"{name}-00002":
        raise SystemExit(f"{name} was edited, and {revision} has its traffic")


async def _samples(act: Callable[[], Awaitable[None]], repeat: int) -> tuple[float, ...]:
    """The first warms caches and does not count."""
    return tuple([await _cpu(act) for _ in range(repeat + 1)][1:])


async def _cpu(act: Callable[[], Awaitable[None]]) -> float:
    start = time.process_time()
    await act()
    return time.process_time() - start
