"""Every cluster passes the suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shipway.ports import Cluster
from shipway.testing.cluster import FakeCluster
from shipway.testing.cluster_suite import CLUSTER_CHECKS, Check, play, run_check
from tests.cluster.local.place import place

NAMES = [check.__name__ for check in CLUSTER_CHECKS]


@asynccontextmanager
async def fake() -> AsyncIterator[Cluster]:
    cluster = FakeCluster(play)
    yield cluster
    await cluster.close()


@pytest.mark.parametrize("check", CLUSTER_CHECKS, ids=NAMES)
def test_fake_cluster(check: Check) -> None:
    asyncio.run(run_check(fake, check))


@pytest.mark.slow
@pytest.mark.parametrize("check", CLUSTER_CHECKS, ids=NAMES)
def test_local_cluster(check: Check) -> None:
    with place() as home:
        asyncio.run(run_check(home.cluster, check))
