"""The files that Envoy reads, from a routing table. Pure: the same table is the same text.

Envoy watches one file for its listener, one for the routes, one for the clusters and one per cluster for
its endpoints (an EDS file holds exactly one assignment). Each carries a version that is a hash of its
content; what Envoy shows as ``version_text`` is therefore what it serves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from shipway.envoy import routes
from shipway.envoy.clusters import TYPE, Resource, cluster, groups, load_assignment, watched
from shipway.envoy.listener import listener
from shipway.traffic import RoutingTable

# Below the limit of open files (two a request): beyond it new connections are refused, and the others live.
_MAX_CONNECTIONS = 9000

ENDPOINTS = "endpoints"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one gateway are."""

    folder: Path

    @property
    def bootstrap(self) -> Path:
        return self.folder / "bootstrap.json"

    @property
    def log(self) -> Path:
        return self.folder / "envoy.log"

    @property
    def table(self) -> Path:
        """The routing table that the other files were made of, for the next hub."""
        return self.folder / "table.json"

    @property
    def endpoints(self) -> Path:
        return self.folder / ENDPOINTS


@dataclass(frozen=True, slots=True)
class Documents:
    """Texts by path below the folder, in the order of writing, and versions by the name of their statistic."""

    texts: Mapping[str, str]
    versions: Mapping[str, str]


def bootstrap(layout: Layout, admin_socket: Path, node: str) -> str:
    """What Envoy starts with: its admin interface (a Unix socket, never a port) and which files to watch."""
    connections = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": TYPE + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            "max_active_downstream_connections": _MAX_CONNECTIONS,
        },
    }
    document = {
        "node": {"id": node, "cluster": "shipway"},
        "admin": {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": watched(layout.folder / "lds.json"),
            "cds_config": watched(layout.folder / "cds.json"),
        },
        "overload_manager": {"resource_monitors": [connections]},
    }
    return _text(document)


@lru_cache(maxsize=8)  # one change asks for each of its stages several times
def documents(table: RoutingTable, layout: Layout, port: int) -> Documents:
    """All that Envoy watches: endpoints first, then clusters, routes and the listener."""
    upstreams = groups(table.upstreams)
    clusters = [cluster(one, layout.endpoints / f"{one.name}.json") for one in upstreams]
    assignments = {one.name: _versioned([load_assignment(one)]) for one in upstreams}
    discovery = {
        "cluster_manager.cds": ("cds.json", _versioned(clusters)),
        "http.gateway.rds.routes": ("rds.json", _versioned([routes.route_configuration(table)])),
        "listener_manager.lds": ("lds.json", _versioned([listener(port, layout.folder / "rds.json")])),
    }
    watched_files = {
        **{f"cluster.{name}": (f"{ENDPOINTS}/{name}.json", text) for name, text in assignments.items()},
        **discovery,
    }
    return Documents(
        texts={path: _text(document) for path, document in watched_files.values()},
        versions={statistic: document["version_info"] for statistic, (_, document) in watched_files.items()},
    )


def _versioned(resources: Sequence[Resource]) -> dict[str, Any]:
    digest = hashlib.sha256(_text(resources).encode()).hexdigest()
    return {"version_info": digest[:16], "resources": resources}


def _text(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
