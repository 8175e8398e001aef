"""The second port of a replica: told by the status, in its environment, and kept when it starts again."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from shipway.bundle import Workload
from shipway.cluster.local.supervisor.environment import argv_of, environment_of
from shipway.testing.cluster_suite import SERVE, server, until, until_ready
from tests.cluster.local.place import place


def test_the_variable_is_there_when_the_port_is() -> None:
    plan = {"contract": {}, "inherited": {}, "env": {}, "secrets": {}, "argv": ["run", "$(SHIPWAY_GRPC_PORT)"]}
    assert environment_of(plan, 0, 1, 20001, 20002)["SHIPWAY_GRPC_PORT"] == "20002"
    assert argv_of(plan, 0, 1, 20001, 20002) == ["run", "20002"]
    assert "SHIPWAY_GRPC_PORT" not in environment_of(plan, 0, 1, 20001)


def test_a_workload_of_an_earlier_shipway_is_read() -> None:
    old = Workload("w", "server", ("x",)).to_json()
    del old["grpc"], old["environment"]["features"]
    assert Workload.from_json(old) == Workload("w", "server", ("x",))


@pytest.mark.slow
def test_replicas_have_two_ports_of_their_own_and_keep_them() -> None:
    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(replace(server("web", SERVE, replicas=2), grpc=True))
            seen = await until_ready(cluster, "web", 2)
            addresses = {address for one in seen.replicas for address in (one.address, one.grpc_address)}
            assert len(addresses) == 4
            first = seen.replicas[0]
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            again = await until(cluster, "web", lambda one: len(one.ready) == 2 and one.replicas[0].restarts == 1)
            assert again.replicas[0].grpc_address == first.grpc_address
        async with home.cluster() as later:
            seen = await until_ready(later, "web", 2)
            assert {address for one in seen.replicas for address in (one.address, one.grpc_address)} == addresses

    with place() as home:
        asyncio.run(scenario())
