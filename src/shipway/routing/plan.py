"""Routes and observed replicas -> RoutingTable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from shipway.bundle import Observed
from shipway.kinds import Backend, Route
from shipway.traffic import RoutingTable, Upstream, VirtualRoute


def plan(routes: Iterable[Route], observed: Mapping[str, Observed]) -> RoutingTable:
    """What the gateway should serve now.

    A replica is an endpoint while it is ready and its index is below the backend's ``replicas``. A
    route whose backends have no ready replica keeps its upstream, so that the gateway answers 503
    and not 404.
    """
    upstreams: dict[str, Upstream] = {}
    virtual = []
    for route in sorted(routes, key=lambda one: one.name):
        backends = [one for one in route.spec.backends if one.weight > 0]
        for backend in backends:
            upstreams[backend.revision] = _upstream(backend, observed)
        virtual.append(
            VirtualRoute(
                service=route.spec.service,
                weights=tuple((one.revision, one.weight) for one in backends),
                timeout=route.spec.timeout,
                retries=route.spec.retries,
            )
        )
    return RoutingTable(tuple(sorted(upstreams.values())), tuple(virtual))


def table_version(table: RoutingTable) -> str:
    """A short name of a table: equal tables have equal ones."""
    return hashlib.sha256(json.dumps(asdict(table), sort_keys=True).encode()).hexdigest()[:12]


def _upstream(backend: Backend, observed: Mapping[str, Observed]) -> Upstream:
    seen = observed.get(backend.revision)
    chosen = [one for one in seen.ready if one.index < backend.replicas] if seen is not None else []
    return Upstream(
        backend.revision,
        endpoints=tuple(sorted(one.address for one in chosen)),
        grpc=tuple(sorted(one.grpc_address for one in chosen if one.grpc_address)),
    )
