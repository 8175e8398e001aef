"""Which environments are in use: whoever prunes them asks."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from shipway.bundle import Environment, Workload
from tests.cluster.local.place import Place, place

IN_USE = {str(Path(sys.executable).parent / "python")}


@pytest.mark.slow
def test_what_runs_is_in_use_also_for_the_next_hub_and_what_ended_is_not() -> None:
    async def scene(home: Place) -> None:
        async with home.cluster() as cluster, asyncio.timeout(30):
            assert cluster.interpreters() == set()
            await cluster.apply(Workload("job", "job", ("python", "-c", ""), environment=Environment()))
            while (seen := await cluster.observe("job")) is None or seen.phase != "Succeeded":
                await asyncio.sleep(0.02)
            assert cluster.interpreters() == set()
            serve = ("python", "-c", "import time; time.sleep(60)")
            await cluster.apply(Workload("server", "server", serve, environment=Environment()))
            while (seen := await cluster.observe("server")) is None or seen.phase != "Running":
                await asyncio.sleep(0.02)
            assert cluster.interpreters() == IN_USE
        async with home.cluster() as cluster:
            await cluster.adopt()
            assert cluster.interpreters() == IN_USE
        await home.clear()

    with place() as home:
        asyncio.run(scene(home))
