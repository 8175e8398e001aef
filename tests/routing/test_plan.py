"""Routes and replicas in, a table out."""

from __future__ import annotations

from dataclasses import replace

from shipway.bundle import Observed, Replica
from shipway.kinds import Backend, ObjectMeta, Route, RouteSpec
from shipway.routing import plan
from shipway.traffic import RoutingTable, Upstream, VirtualRoute


def route(*backends: Backend, name: str = "digits") -> Route:
    return Route(
        metadata=ObjectMeta(name=name), spec=RouteSpec(service=name, backends=backends, timeout=30.0, retries=2)
    )


def running(name: str, *phases: str) -> Observed:
    replicas = tuple(Replica(index, phase, f"127.0.0.1:{9000 + index}") for index, phase in enumerate(phases))  # type: ignore[arg-type]
    return Observed(name, "h", "Running", replicas)


def test_only_ready_replicas_below_the_count_are_endpoints() -> None:
    table = plan([route(Backend(revision="d-1", replicas=2))], {"d-1": running("d-1", "Ready", "NotReady", "Ready")})
    assert table == RoutingTable(
        (Upstream("d-1", ("127.0.0.1:9000",)),), (VirtualRoute("digits", (("d-1", 100),), 30.0, 2),)
    )


def test_where_replicas_speak_grpc_comes_along() -> None:
    seen = running("d-1", "Ready", "NotReady", "Ready")
    replicas = tuple(replace(one, grpc_address=f"127.0.0.1:{9500 + one.index}") for one in seen.replicas)
    table = plan([route(Backend(revision="d-1", replicas=3))], {"d-1": replace(seen, replicas=replicas)})
    http, grpc = ("127.0.0.1:9000", "127.0.0.1:9002"), ("127.0.0.1:9500", "127.0.0.1:9502")
    assert table.upstreams == (Upstream("d-1", http, grpc),)


def test_a_revision_that_is_not_observed_keeps_an_empty_upstream() -> None:
    assert plan([route(Backend(revision="d-1"))], {}).upstreams == (Upstream("d-1", ()),)


def test_weight_0_is_left_out_and_routes_are_sorted() -> None:
    table = plan([route(Backend(revision="z-1", weight=0), name="z"), route(name="a")], {})
    assert table == RoutingTable((), (VirtualRoute("a", (), 30.0, 2), VirtualRoute("z", (), 30.0, 2)))
