"""The verbs with which a test plays."""

from __future__ import annotations

import asyncio

from shipway.bundle import Observed, Workload
from shipway.testing.cluster import FakeCluster

WEB = Workload("web", "server", ("x",), replicas=2, serves=True)
JOB = Workload("train", "job", ("x",))


async def seen(cluster: FakeCluster, name: str) -> Observed:
    found = await cluster.observe(name)
    assert found is not None
    return found


def test_a_server_gets_ready_and_is_killed() -> None:
    async def scenario() -> None:
        cluster = FakeCluster()
        await cluster.apply(WEB)
        assert (await seen(cluster, "web")).phase == "Preparing"
        cluster.set_ready("web", 1)
        assert [one.index for one in (await seen(cluster, "web")).ready] == [1]
        cluster.set_ready("web")
        cluster.kill("web", 0)
        killed = (await seen(cluster, "web")).replicas[0]
        assert (killed.phase, killed.restarts, killed.signal) == ("Starting", 1, 9)
        assert (cluster.applied, cluster.deleted) == ([WEB], [])

    asyncio.run(scenario())


def test_a_job_ends_with_its_output() -> None:
    async def scenario() -> None:
        cluster = FakeCluster()
        await cluster.apply(JOB)
        cluster.finish("train", output="/some/where")
        ended = await seen(cluster, "train")
        assert (ended.phase, ended.output, ended.replicas[0].exit_code) == ("Succeeded", "/some/where", 0)

    asyncio.run(scenario())


def test_preparing_fails() -> None:
    async def scenario() -> None:
        cluster = FakeCluster()
        await cluster.apply(JOB)
        cluster.fail_preparing("train", message="uv failed", tail="No solution")
        ended = await seen(cluster, "train")
        assert (ended.phase, ended.reason, ended.tail) == ("Failed", "EnvironmentFailed", "No solution")

    asyncio.run(scenario())


def test_a_slow_delete_takes_until_the_test_ends_it() -> None:
    async def scenario() -> None:
        cluster = FakeCluster(slow_delete=True)
        await cluster.apply(WEB)
        await cluster.delete("web")
        assert (await seen(cluster, "web")).phase == "Stopping"
        cluster.finish_delete("web")
        assert await cluster.observe("web") is None
        await cluster.close()
        assert cluster.closed

    asyncio.run(scenario())
