"""Envoy's clusters and endpoints from upstreams. Pure.

Source: envoy.config.cluster.v3.Cluster, envoy.config.endpoint.v3.ClusterLoadAssignment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.traffic import Upstream

Resource = dict[str, Any]

TYPE = "type.googleapis.com/envoy."

# Envoy's own default of 1024 fails requests of a load test that the replicas would have answered.
_NO_LIMIT = 100_000
# Servers of users close idle connections after 5 s (uvicorn, Node.js) or sooner. Envoy closes first, so that
# a request seldom meets a connection that is being closed; where it does, the retry on "reset" mends it.
_UPSTREAM_IDLE = "4s"


@dataclass(frozen=True, slots=True)
class Group:
    """Addresses that are spoken to alike: what is a cluster to Envoy. gRPC needs HTTP/2."""

    name: str
    addresses: tuple[str, ...]
    http2: bool = False


def groups(upstreams: Iterable[Upstream]) -> list[Group]:
    """One for each upstream, and one more for each that speaks gRPC."""
    ordered = sorted(upstreams)
    http = [Group(one.name, one.endpoints) for one in ordered]
    return [*http, *(Group(grpc_name(one.name), one.grpc, http2=True) for one in ordered if one.grpc)]


def grpc_name(upstream: str) -> str:
    """The name of the group of its gRPC endpoints; revisions have no dot in their names."""
    return f"{upstream}.grpc"


def cluster(group: Group, endpoints: Path) -> Resource:
    """The cluster of a group; its endpoints are in the file ``endpoints``."""
    options = TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "@type": TYPE + "config.cluster.v3.Cluster",
        "name": group.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": watched(endpoints)},
        "connect_timeout": "3s",
        "load_balancing_policy": {"policies": [{"typed_extension_config": _least_request()}]},
        "circuit_breakers": {"thresholds": [dict.fromkeys(_LIMITS, _NO_LIMIT)]},
        "outlier_detection": _outlier_detection(),
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options,
                "common_http_protocol_options": {"idle_timeout": _UPSTREAM_IDLE},
                "explicit_http_config": {"http2_protocol_options" if group.http2 else "http_protocol_options": {}},
            }
        },
    }


def load_assignment(group: Group) -> Resource:
    """The endpoints of a group."""
    return {
        "@type": TYPE + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": group.name,
        "endpoints": [{"lb_endpoints": [_endpoint(address) for address in group.addresses]}],
    }


def watched(path: Path) -> Resource:
    """A configuration source: the file ``path``, read anew whenever it is renamed over.

    Without ``watched_directory``: with it, Envoy reads every file of the folder again for each that
    changes, which is quadratic for endpoints.
    """
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")


def _least_request() -> Resource:
    """The least busy of three that are drawn (with replacement: of two drawn, a quarter are the same one).

    Never FULL_SCAN: a dead endpoint has no active request, so a full scan would choose it for the retry too.
    """
    kind = TYPE + "extensions.load_balancing_policies.least_request.v3.LeastRequest"
    return {
        "name": "envoy.load_balancing_policies.least_request",
        "typed_config": {"@type": kind, "choice_count": 3},
    }


def _outlier_detection() -> Resource:
    """Leave an endpoint that cannot be reached, also while no hub lives that would take it away.

    Only failures of the connection count, never what an application answers. At most half of the endpoints
    are left, hence never the only one.
    """
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "enforcing_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_time": "10s",
        "max_ejection_percent": 50,
    }


def _endpoint(address: str) -> Resource:
    host, _, port = address.rpartition(":")
    socket_address = {"address": host.strip("[]"), "port_value": int(port)}
    return {"endpoint": {"address": {"socket_address": socket_address}}}
