from __future__ import annotations

import pytest

from shipway.cluster.local.supervisor.environment import argv_of, environment_of
from shipway.cluster.local.supervisor.expansion import expand, expand_in_order, references


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--port=$(PORT)", "--port=80"),
        ("$(A)$(PORT)", "a80"),
        ("$$(PORT)", "$(PORT)"),
        ("$$$(PORT)", "$80"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$PORT $ $(", "$PORT $ $("),
        ("$()", "$()"),
        ("", ""),
    ],
)
def test_kubernetes_expansion(text: str, expected: str) -> None:
    assert expand(text, {"PORT": "80", "A": "a"}) == expected


def test_later_variables_see_earlier_ones_and_not_the_reverse() -> None:
    declared = {"ONE": "$(TWO)-$(BASE)", "TWO": "$(ONE)!"}
    assert expand_in_order(declared, {"BASE": "b"}) == {"ONE": "$(TWO)-b", "TWO": "$(TWO)-b!"}


def test_references() -> None:
    assert references(["$(A) $$(B)", "$(C)"]) == {"A", "C"}


def test_a_replica_gets_user_variables_but_keeps_the_contract() -> None:
    plan = {
        "argv": ["run", "$(PORT)", "$(TOKEN)", "$(MINE)", "$(HEADER)"],
        "contract": {"SHIPWAY_WORKLOAD": "w"},
        "inherited": {"PATH": "/bin", "LANG": "C"},
        "env": {"MINE": "$(SHIPWAY_WORKLOAD):$(PORT)", "LANG": "de", "PORT": "1", "HEADER": "Bearer $(TOKEN)"},
        "secrets": {"TOKEN": "/dev/null"},
    }
    env = environment_of(plan, 1, 3, 20001)
    assert env == {
        "PATH": "/bin",
        "LANG": "de",
        "TOKEN": "",
        "MINE": "w:20001",
        "HEADER": "Bearer ",
        "SHIPWAY_WORKLOAD": "w",
        "SHIPWAY_REPLICA_INDEX": "1",
        "SHIPWAY_REPLICAS": "3",
        "PORT": "20001",
        "HOST": "127.0.0.1",
    }
    assert argv_of(plan, 1, 3, 20001) == ["run", "20001", "$(TOKEN)", "w:20001", "Bearer $(TOKEN)"]


def test_no_port_without_one() -> None:
    env = environment_of({"contract": {}, "inherited": {}, "env": {}, "secrets": {}}, 0, 1, None)
    assert "PORT" not in env
    assert "HOST" not in env
