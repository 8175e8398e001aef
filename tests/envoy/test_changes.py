from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.envoy.changes import judge, last_refusal, parse_table, refusal, stages, table_text
from shipway.traffic import RoutingTable, Upstream, VirtualRoute

NAMES = ("a", "b", "c")


@st.composite
def tables(draw: st.DrawFn) -> RoutingTable:
    endpoints = st.lists(st.sampled_from(("127.0.0.1:1", "127.0.0.1:2")), unique=True).map(tuple)
    upstreams = draw(st.dictionaries(st.sampled_from(NAMES), endpoints))
    weights = st.lists(
        st.tuples(st.sampled_from(sorted(upstreams)), st.integers(0, 100)) if upstreams else st.nothing()
    )
    routes = draw(st.dictionaries(st.sampled_from(("x", "y")), weights.map(tuple)))
    return RoutingTable(
        tuple(sorted(Upstream(*one) for one in upstreams.items())),
        tuple(VirtualRoute(*one) for one in sorted(routes.items())),
    )


def serving(table: RoutingTable) -> dict[str, bool]:
    """Which services answer with something else than 503."""
    full = {one.name for one in table.upstreams if one.endpoints}
    return {route.service: any(weight and name in full for name, weight in route.weights) for route in table.routes}


@given(tables(), tables())
def test_stages_never_break_what_both_serve(old: RoutingTable, new: RoutingTable) -> None:
    way = stages(old, new)
    assert way[-1] == new
    assert len(way) == len(set(way)) <= 3
    for table in way:
        assert refusal(table) == ""
        for service, served in serving(old).items():
            if served and serving(new).get(service):
                assert serving(table)[service]
    # Routes change only once the upstreams of both are there, and upstreams go only once routes have changed.
    for before, after in zip((old, *way), way, strict=False):
        if before.routes != after.routes:
            assert {one.name for one in new.upstreams} <= {one.name for one in before.upstreams}
        elif before.routes == old.routes != new.routes:
            assert {one.name for one in before.upstreams} <= {one.name for one in after.upstreams}


@given(tables())
def test_nothing_to_do_is_one_stage(table: RoutingTable) -> None:
    assert stages(table, table) == (table,)


@given(tables())
def test_a_table_survives_its_file(table: RoutingTable) -> None:
    assert parse_table(table_text(table)) == table


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"upstreams": [{}], "routes": []}', "null"])
def test_what_is_not_a_table(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_table(text)


WANTED = {"cds": "v2", "cluster.a": "e1"}
SHOWN = {"cds.version_text": "v2", "cluster.a.version_text": "e1"}


@pytest.mark.parametrize(
    "before, now, reason",
    [
        ({}, SHOWN, "Programmed"),
        ({}, {}, "Warming"),
        ({}, {**SHOWN, "cds.version_text": "v1"}, "Warming"),
        ({}, {**SHOWN, "cds.version_text": "v1", "cds.update_rejected": "1"}, "Rejected"),
        ({}, {**SHOWN, "cds.version_text": "v1", "cds.update_failure": "1"}, "Rejected"),
        ({"cds.update_rejected": "1"}, {"cds.update_rejected": "1"}, "Warming"),  # of an earlier change
        ({"cds.update_rejected": "1"}, {"cds.update_rejected": "2"}, "Rejected"),
        ({"cds.update_rejected": "3"}, {"cds.update_rejected": "1"}, "Rejected"),  # Envoy was started anew
        ({}, {**SHOWN, "cds.update_rejected": "7"}, "Programmed"),  # refused once, and mended
        ({}, {**SHOWN, "cluster_manager.warming_clusters": "1"}, "Warming"),
        ({}, {**SHOWN, "listener_manager.total_listeners_warming": "1"}, "Warming"),
    ],
)
def test_judge(before: dict[str, str], now: dict[str, str], reason: str) -> None:
    state = judge(WANTED, before, now)
    assert state.reason == reason
    assert state.live == (reason == "Programmed")
    assert bool(state.message) != state.live


def test_the_last_refusal_counts() -> None:
    line = "[2026][1][warning][config] [x/filesystem_subscription_impl.cc:81] Filesystem config update "
    log = f"{line}rejected: first\n{line}failure: in /x/rds.json, second\nsomething else\n"
    assert last_refusal(log) == "in /x/rds.json, second"
    assert last_refusal("something else") == ""


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", ".a", "x" * 201])
def test_names_that_cannot_be_a_file(name: str) -> None:
    assert "is not a name of an upstream" in refusal(RoutingTable((Upstream(name),)))
