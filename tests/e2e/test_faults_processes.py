"""Replicas, supervisors and Envoy die: who notices, what breaks, and how soon all is whole again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.e2e.faults import (
    Connections,
    Trained,
    entries,
    hub_of,
    kill,
    kill_hub,
    line_answers,
    own_answers,
    own_server,
    replica_pids,
    supervisor_of,
    the,
    whole,
    workload_status,
)
from tests.e2e.home import Home, Load, Process, eventually

BODY = {"input": [[1.0]]}
CONNECTIONS = 32


def kill_replicas_under_load(home: Home, service: str, url: str, body: object, check: Callable[[Any], bool]) -> None:
    """One of two, three times, the last time while no hub lives."""
    revision = whole(home, service)
    with Load(url, body, check, threads=CONNECTIONS) as load:
        for victim, hub_lives in ((0, True), (1, True), (0, False)):
            load.more(200)
            if not hub_lives:
                kill_hub(home)
            before = replica_pids(home, revision)
            assert len(before) == 2
            kill(before[victim])
            load.more(200)
            after = eventually(
                lambda: _others(replica_pids(home, revision), before[victim]),  # noqa: B023
                what="the replica comes back",
            )
            assert after[1 - victim] == before[1 - victim], "the other one was not touched"
            load.more(200)
        home.ok("hub", "start")
        assert whole(home, service) == revision
        load.more(200)
    assert load.bad == []


def _others(pids: list[int], gone: int) -> list[int]:
    return pids if len(pids) == 2 and gone not in pids else []


def test_a_replica_of_an_own_server_is_killed(home: Home) -> None:
    own = own_server(home)
    home.ok("up", own.folder)
    kill_replicas_under_load(home, "own", home.url("own"), {}, own_answers)


def test_a_replica_of_a_model_is_killed(home: Home) -> None:
    line = Trained(home)
    line.let_go()
    home.ok("up", line.folder)
    kill_replicas_under_load(home, "line", f"{home.url('line')}/predict", BODY, line_answers)


def test_envoy_is_killed_under_load(home: Home) -> None:
    """Breaks the connections that it holds, once each; comes back; nothing fails after that; it is told."""
    own = own_server(home)
    home.ok("up", own.folder)
    revision = whole(home, "own")
    before = replica_pids(home, revision)
    with Connections(home.url("own"), {}, threads=16) as clients:
        for hub_lives in (True, False):
            if not hub_lives:
                kill_hub(home)
            clients.broken.clear()
            envoy = the(home, "envoy")
            moment = kill(envoy)
            outage = clients.outage(moment, lambda: set(home.processes("envoy")) - {envoy} != set())  # noqa: B023
            print(f"Envoy is back after {outage:.2f} s")
            assert Counter(client for client, _ in clients.broken) == dict.fromkeys(range(16), 1)
            home.ok("hub", "start")
            told = [1] if hub_lives else [1, 2]
            eventually(lambda: _restarts(home) == told, what="the journal tells of it")  # noqa: B023
            assert whole(home, "own") == revision
            assert replica_pids(home, revision) == before
            assert hub_of(home).get("/healthz")["gateway"]["restarts"] == len(told)
    assert clients.wrong == []
    kill_hub(home)
    home.ok("hub", "start")
    whole(home, "own")
    assert _restarts(home) == [1, 2], "a hub does not repeat what an earlier one told"


def _restarts(home: Home) -> list[int]:
    told = [one for one in entries(home, "Gateway/gateway", "event") if one["reason"] == "GatewayRestarted"]
    assert all(one["data"]["signal"] == 9 for one in told)
    return [one["data"]["restarts"] for one in told]


def test_a_supervisor_is_killed(home: Home) -> None:
    """Its replicas go on under the next one, which the hub that lives or the next one starts: nobody notices."""
    own = own_server(home)
    home.ok("up", own.folder)
    revision = whole(home, "own")
    before = replica_pids(home, revision)
    with Load(home.url("own"), {}, own_answers, threads=8) as load:
        for hub_lives in (True, False):
            if not hub_lives:
                kill_hub(home)
            victim = supervisor_of(home, revision)
            kill(victim)
            load.more(200)
            if not hub_lives:
                home.ok("hub", "start")
            eventually(lambda: _another(home, revision, victim), what="another supervisor")  # noqa: B023
            load.more(200)
            assert whole(home, "own") == revision
            assert replica_pids(home, revision) == before
        kill(before[0])
        eventually(lambda: _others(replica_pids(home, revision), before[0]), what="what was adopted comes back too")
        load.more(200)
    assert load.bad == []
    replicas = [one.pid for one in home.processes("replica")]
    assert sorted(replicas) == sorted(replica_pids(home, revision)), "no orphan"


def _another(home: Home, workload: str, before: Process) -> bool:
    ending = f"/workloads/{workload}"
    return any(one.pid != before.pid for one in home.processes("supervisor") if one.command.endswith(ending))


def test_the_supervisor_of_envoy_is_killed(home: Home) -> None:
    """No connection breaks; and an Envoy that its supervisor did not start comes back as any other does."""
    own = own_server(home)
    home.ok("up", own.folder)
    revision = whole(home, "own")
    envoy = the(home, "envoy")
    with Connections(home.url("own"), {}, threads=4) as clients:
        victim = supervisor_of(home, "gateway")
        moment = kill(victim)
        eventually(lambda: _another(home, "gateway", victim), what="another supervisor")
        clients.answered(moment)
        assert (the(home, "envoy"), clients.broken, clients.away) == (envoy, [], [])
        assert entries(home, "Gateway/gateway", "event") == []
        eventually(lambda: workload_status(home, "gateway")["replicas"][0]["pid"] == envoy.pid, what="it is adopted")
        moment = kill(envoy)
        clients.outage(moment, lambda: set(home.processes("envoy")) - {envoy} != set())
        assert Counter(client for client, _ in clients.broken) == dict.fromkeys(range(4), 1)
        assert whole(home, "own") == revision
    assert clients.wrong == []
    eventually(lambda: len(entries(home, "Gateway/gateway", "event")) == 1, what="the journal tells of it")


def home_url(home: Home, service: str) -> str:
    """Where a service answers, also while no hub lives."""
    port = (home.path / "gateway" / "port").read_text()
    return f"http://127.0.0.1:{json.loads(port)}/{service}"
