"""KubernetesCluster passes the suite of clusters that exchange replicas by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shipway.ports import Cluster
from shipway.testing import cluster_suite as suite
from tests.cluster.kubernetes.cluster.place import place

# A third of a second each: some of each kind run always.
ALWAYS = (
    suite.check_a_server_gets_ready,
    suite.check_a_job_succeeds,
    suite.check_a_job_fails,
    suite.check_replicas_are_exchanged,
    suite.check_logs,
)
CHECKS = [
    pytest.param(check, id=check.__name__, marks=pytest.mark.slow if check in ALWAYS else pytest.mark.thorough)
    for check in suite.ROLLING_CHECKS
]


@asynccontextmanager
async def made() -> AsyncIterator[Cluster]:
    async with place() as here:
        yield here.cluster


@pytest.mark.parametrize("check", CHECKS)
def test_kubernetes_cluster(check: suite.Check) -> None:
    asyncio.run(suite.run_check(made, check))
