"""When a replica ends for good, and how."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from selectors import DefaultSelector

import pytest

from shipway.bundle import HttpProbe, Observed
from shipway.cluster.local.supervisor.replica import Replica, Site
from shipway.testing.cluster_suite import SERVE, server, until, until_gone, until_ready
from tests.cluster.local.place import Place, place

pytestmark = pytest.mark.slow
EXIT_3 = SERVE.replace("import http.server, os, sys", "import http.server, os, signal, sys\n"
    "signal.signal(signal.SIGUSR1, lambda *_: os._exit(3))")  # fmt: skip


@pytest.fixture
def home() -> Iterator[Place]:
    with place() as one:
        yield one


def states(seen: Observed) -> list[str]:
    return [one.phase for one in seen.replicas]


def test_a_server_that_was_ready_is_restarted_whatever_its_exit_code(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", EXIT_3))
            before = (await until_ready(cluster, "web")).replicas[0]
            assert before.pid is not None
            os.kill(before.pid, signal.SIGUSR1)
            seen = await until(cluster, "web", lambda one: one.replicas[0].phase in ("BackOff", "Exited"))
            only = seen.replicas[0]
            assert (only.phase, only.reason, only.exit_code) == ("BackOff", "Error", 3)
            after = await until(cluster, "web", lambda one: bool(one.ready))
            assert after.replicas[0].restarts == 1

    asyncio.run(scenario())


def test_one_that_is_scaled_down_goes_on_answering_for_a_moment(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("web", replicas=2), liveness=HttpProbe("/", period=0.1)))
            before = (await until_ready(cluster, "web", 2)).replicas
            begun = time.monotonic()
            await cluster.apply(replace(server("web", replicas=1), liveness=HttpProbe("/", period=0.1)))
            seen = await until(cluster, "web", lambda one: len(one.ready) == 1)
            assert states(seen) == ["Ready", "Stopping"]
            seen = await until(cluster, "web", lambda one: len(one.replicas) == 1)
            assert seen.replicas == before[:1]
            assert time.monotonic() - begun >= 1.0

    asyncio.run(scenario())


def test_one_that_is_wanted_again_in_time_stays(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            before = (await until_ready(cluster, "web", 2)).replicas
            await cluster.apply(server("web", replicas=1))
            await until(cluster, "web", lambda one: states(one) == ["Ready", "Stopping"])
            await cluster.apply(server("web", replicas=2))
            await until_ready(cluster, "web", 2)
            await asyncio.sleep(1.2)  # past the moment at which it would have been told to end
            seen = await until_ready(cluster, "web", 2)
            assert seen.replicas == before

    asyncio.run(scenario())


def test_who_lingers_ends_at_once_when_all_are_stopped(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    plan = {"log": {"size": 1, "files": 1}, "grace": 5.0, "limits": {}, "probes": {}, "mode": "server"}
    with DefaultSelector() as selector:
        replica = Replica(0, None, Site(str(tmp_path), plan, selector, lambda _: None), now=10.0)
        replica.state = "running"
        replica.stop("ScaledDown", now=10.0)
        assert (replica.state, replica.wake_at) == ("lingering", 11.0)
        replica.stop("Stopped", now=10.1)
        assert (replica.state, replica.wake_at) == ("stopping", 15.1)
        replica._log.close()


def test_one_that_lingers_is_stopped_with_the_others(home: Place) -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web", replicas=2))
            await until_ready(cluster, "web", 2)
            await cluster.apply(server("web", replicas=1))
            await until(cluster, "web", lambda one: "Stopping" in states(one))
            await cluster.delete("web")
            await until_gone(cluster, "web")

    asyncio.run(scenario())
