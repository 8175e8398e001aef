"""Envoy's route configuration from virtual routes. Pure.

Source: envoy.config.route.v3.RouteConfiguration. A service answers at ``/NAME/...`` of this machine's own
names (the prefix is stripped, and told to the server as X-Forwarded-Prefix) and at every path of the host
``NAME.localhost``. gRPC, whose paths are its own, is for the host too, or for the metadata ``x-shipway-service: NAME``.
Other hosts are refused: a web page whose name was pointed at 127.0.0.1 (DNS rebinding) reaches
no service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from shipway.envoy.clusters import TYPE, Resource, grpc_name
from shipway.traffic import RoutingTable, Upstream, VirtualRoute

NAME = "routes"

_OWN_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

# What a proxy in front of us would tell, and there is none: from a client it is a lie that servers believe (they make
# links and redirects of it). X-Forwarded-For and -Proto are Envoy's own: use_remote_address.
_OF_A_PROXY = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-original-host",
    "x-real-ip",
]

_GRPC: Resource = {"prefix": "/", "grpc": {}}  # by its content-type
_SERVICE_HEADER = "x-shipway-service"
_NOT_SERVING = "x-shipway-not-serving"  # of an answer: this replica began nothing of the request (docs/contract.md)

# Bodies up to this size are kept until the answer begins, so that the request can be tried again elsewhere;
# larger ones stream through and are tried once.
_RETRY_BUFFER = 32 * 2**20
# With least_request a dead endpoint looks idle and wins most draws; of 3 drawn from 2 it wins 7 in 8. So many
# draws that the retry goes elsewhere (0.875^200 is 3e-12), and still microseconds.
_RETRY_DRAWS = 200
# How long nothing may flow, at the least. Longer timeouts extend it; none (0) means an hour.
_IDLE_SECONDS, _IDLE_SECONDS_UNLIMITED = 300.0, 3600.0


def route_configuration(table: RoutingTable) -> Resource:
    """All services by path, and each by host. Other paths match nothing: the listener words that answer."""
    upstreams = {upstream.name: upstream for upstream in table.upstreams}
    by_host = [_virtual_host(route, upstreams) for route in table.routes]
    by_path = {
        "name": "by-path",
        "domains": _OWN_HOSTS,
        "routes": [*_grpc_routes(table.routes, upstreams), *(_path_route(one, upstreams) for one in table.routes)],
    }
    hosts = (*by_host, by_path, _strangers())
    return {
        "@type": TYPE + "config.route.v3.RouteConfiguration",
        "name": NAME,
        "ignore_port_in_host_matching": True,
        "request_headers_to_remove": ["x-envoy-external-address", *_OF_A_PROXY],
        "virtual_hosts": [{**host, "request_body_buffer_limit": _RETRY_BUFFER} for host in hosts],
    }


def _virtual_host(route: VirtualRoute, upstreams: Mapping[str, Upstream]) -> Resource:
    whole = {
        "name": route.service,
        "match": {"prefix": "/"},
        # Nothing was stripped, whatever the client says.
        "request_headers_to_remove": ["x-forwarded-prefix"],
        **_answer(route, upstreams, {}),
    }
    grpc = [_grpc_route(route, upstreams)] if _speaks_grpc(route, upstreams) else []
    return {"name": f"host-{route.service}", "domains": [f"{route.service}.localhost"], "routes": [*grpc, whole]}


def _grpc_routes(routes: Iterable[VirtualRoute], upstreams: Mapping[str, Upstream]) -> list[Resource]:
    """By metadata; and a word to those who send none, where there is a service that they may mean.

    What has no replica now may speak it as well: its clients hear UNAVAILABLE, and not that there is no such service.
    """
    asleep = {
        one.service for one in routes if not any(weight and upstreams[name].endpoints for name, weight in one.weights)
    }
    asked = [one for one in routes if one.service in asleep or _speaks_grpc(one, upstreams)]
    named = [_grpc_route(one, upstreams, _SERVICE_HEADER) for one in asked]
    error = f"which service? Send the metadata {_SERVICE_HEADER}: NAME, or connect with the authority NAME.localhost"
    return [*named, {"match": _GRPC, **_said(404, error)}] if named else []


def _grpc_route(route: VirtualRoute, upstreams: Mapping[str, Upstream], header: str = "") -> Resource:
    """Weighted as HTTP is, to the replicas' other ports."""
    match = {**_GRPC, "headers": [{"name": header, "string_match": {"exact": route.service}}]} if header else _GRPC
    reached = {name: replace(one, endpoints=one.grpc) for name, one in upstreams.items()}
    return {"name": route.service, "match": match, **_answer(route, reached, {}, named=grpc_name)}


def _speaks_grpc(route: VirtualRoute, upstreams: Mapping[str, Upstream]) -> bool:
    return any(weight and upstreams[name].grpc for name, weight in route.weights)


def _path_route(route: VirtualRoute, upstreams: Mapping[str, Upstream]) -> Resource:
    prefix = f"/{route.service}"
    stripped = {"regex_rewrite": {"pattern": {"regex": f"^{prefix}/?"}, "substitution": "/"}}
    return {
        "name": route.service,
        "match": {"path_separated_prefix": prefix},  # /digits and /digits/..., not /digitsX
        "request_headers_to_add": [_header("x-forwarded-prefix", prefix)],
        **_answer(route, upstreams, stripped),
    }


def _answer(
    route: VirtualRoute, upstreams: Mapping[str, Upstream], rewrite: Resource, named: Callable[[str], str] = str
) -> Resource:
    """Forward to the upstreams that have endpoints; say so when none has. ``named`` gives an upstream's cluster."""
    shares = [(named(name), weight) for name, weight in route.weights if weight and upstreams[name].endpoints]
    if not shares:
        return _unavailable(route.service)
    target: Resource = {"weighted_clusters": {"clusters": [{"name": name, "weight": one} for name, one in shares]}}
    if len(shares) == 1:
        target = {"cluster": shares[0][0]}
    idle = max(route.timeout, _IDLE_SECONDS) if route.timeout else _IDLE_SECONDS_UNLIMITED
    action = {**target, **rewrite, "timeout": _seconds(route.timeout), "idle_timeout": _seconds(idle)}
    return {"route": {**action, "retry_policy": _retry_policy(route.retries)} if route.retries else action}


def _unavailable(service: str) -> Resource:
    return _said(503, f"service '{service}' has no ready replica", _header("retry-after", "1"))


def _strangers() -> Resource:
    """All hosts that no other virtual host names."""
    refusal = _said(403, "this gateway serves localhost only; the Host header was of another host, or of no service")
    return {"name": "strangers", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **refusal}]}


def _said(status: int, error: str, *headers: Resource) -> Resource:
    return {
        "direct_response": {"status": status, "body": {"inline_string": json.dumps({"error": error})}},
        "response_headers_to_add": [_header("content-type", "application/json"), *headers],
    }


def _retry_policy(retries: int) -> Resource:
    """Try another endpoint when the connection fails before the first byte of an answer, or the answer is that this
    replica takes no requests: one that is restarted loads its model behind an open port.

    Envoy itself ends all retries once response headers went downstream.
    """
    other_host = {
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {"@type": TYPE + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }
    return {
        "retry_on": "connect-failure,refused-stream,reset,retriable-headers",
        "retriable_headers": [{"name": _NOT_SERVING, "present_match": True}],
        "num_retries": retries,
        "retry_host_predicate": [other_host],
        "host_selection_retry_max_attempts": _RETRY_DRAWS,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.1s"},
    }


def _header(key: str, value: str) -> Resource:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
