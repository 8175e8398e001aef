from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipway.envoy.config import Layout, bootstrap, documents
from shipway.traffic import RoutingTable, Upstream, VirtualRoute

LAYOUT = Layout(Path("/home/gateway"))
TABLE = RoutingTable(
    (Upstream("d-1", ("127.0.0.1:1001",)), Upstream("d-2", ("[::1]:1002",)), Upstream("d-3")),
    (VirtualRoute("digits", (("d-1", 90), ("d-2", 10), ("d-3", 50)), timeout=2.5, retries=2),),
)


def resources(path: str, table: RoutingTable = TABLE) -> Any:
    return json.loads(documents(table, LAYOUT, 8100).texts[path])["resources"]


def by_path(table: RoutingTable) -> Any:
    hosts = {host["name"]: host for host in resources("rds.json", table)[0]["virtual_hosts"]}
    return hosts["by-path"]["routes"]


def test_every_file_has_a_version_of_its_content() -> None:
    one, two = documents(TABLE, LAYOUT, 8100), documents(TABLE, LAYOUT, 8100)
    assert one == two
    assert list(one.texts) == [
        *("endpoints/d-1.json", "endpoints/d-2.json", "endpoints/d-3.json"),
        *("cds.json", "rds.json", "lds.json"),
    ]
    other = documents(replace(TABLE, routes=()), LAYOUT, 8100)
    changed = {name for name, version in one.versions.items() if other.versions[name] != version}
    assert changed == {"http.gateway.rds.routes"}
    for name, text in zip(one.versions, one.texts.values(), strict=True):
        assert json.loads(text)["version_info"] == one.versions[name]


def test_the_order_of_upstreams_does_not_matter() -> None:
    turned = replace(TABLE, upstreams=TABLE.upstreams[::-1])
    assert documents(turned, LAYOUT, 8100) == documents(TABLE, LAYOUT, 8100)


def test_shares_of_upstreams_without_endpoints_go_to_the_others() -> None:
    (route,) = by_path(TABLE)
    weighted = route["route"]["weighted_clusters"]["clusters"]
    assert weighted == [{"name": "d-1", "weight": 90}, {"name": "d-2", "weight": 10}]


def test_a_service_without_shares_answers_503() -> None:
    for weights in ((), (("d-3", 100),), (("d-1", 0),)):
        *_, route = by_path(replace(TABLE, routes=(VirtualRoute("digits", weights),)))
        assert route["direct_response"]["status"] == 503
        assert "route" not in route


def test_timeouts_and_retries() -> None:
    (route,) = by_path(TABLE)
    action = route["route"]
    assert (action["timeout"], action["idle_timeout"]) == ("2.500s", "300.000s")
    assert action["retry_policy"]["num_retries"] == 2
    assert action["retry_policy"]["retriable_headers"] == [{"name": "x-shipway-not-serving", "present_match": True}]
    (route,) = by_path(replace(TABLE, routes=(replace(TABLE.routes[0], timeout=0, retries=0),)))
    action = route["route"]
    assert (action["timeout"], action["idle_timeout"]) == ("0.000s", "3600.000s")
    assert "retry_policy" not in action


def test_endpoints_of_both_families() -> None:
    (assignment,) = resources("endpoints/d-2.json")
    (endpoint,) = assignment["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "::1", "port_value": 1002}


def test_the_bootstrap_opens_no_port() -> None:
    text = bootstrap(LAYOUT, Path("/run/envoy.sock"), "home-1")
    document = json.loads(text)
    assert document["node"]["id"] == "home-1"
    assert document["admin"]["address"] == {"pipe": {"path": "/run/envoy.sock", "mode": 0o600}}
    assert "socket_address" not in text
    assert "static_resources" not in document
