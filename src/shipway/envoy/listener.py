"""Envoy's listener: where clients connect, and how the gateway words its own answers. Pure.

Source: envoy.config.listener.v3.Listener and the HTTP connection manager's reference.
"""

from __future__ import annotations

from pathlib import Path

from shipway.envoy.clusters import TYPE, Resource, watched
from shipway.envoy.routes import NAME

# What Envoy answers itself when an upstream did not: no healthy or reachable endpoint, reset, timeout, overflow.
_UPSTREAM_FLAGS = ["UH", "UF", "UC", "UR", "UT", "UO", "LR", "URX", "NC", "UPE", "SI", "DT"]
# Envoy lets "internal" clients set timeouts and retries by x-envoy-* headers, and takes loopback for internal
# unless other addresses are named.
_NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
_FIRST_SEGMENT = r"%CEL(re.extract(request.path, '^/?([^/?]*).*', '\\1'))%"


def listener(port: int, route_file: Path) -> Resource:
    """The one listener: 127.0.0.1 only."""
    return {
        "@type": TYPE + "config.listener.v3.Listener",
        "name": "gateway",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        # With SO_REUSEPORT two gateways on one port would both start, and share the clients.
        "enable_reuse_port": False,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _connection_manager(route_file),
                    }
                ]
            }
        ],
    }


def _connection_manager(route_file: Path) -> Resource:
    router = TYPE + "extensions.filters.http.router.v3.Router"
    return {
        "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "codec_type": "AUTO",  # HTTP/1.1, and HTTP/2 with prior knowledge
        "rds": {"route_config_name": NAME, "config_source": watched(route_file)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": router, "suppress_envoy_headers": True},
            }
        ],
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [_NOBODY]},
        "server_header_transformation": "PASS_THROUGH",
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,  # /digits/../other is a request to other
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "request_headers_timeout": "30s",
        # A client learns late by this much that the rest of its answer will not come (default 1 s).
        "delayed_close_timeout": "0.1s",
        "local_reply_config": {"mappers": _own_answers()},
    }


def _own_answers() -> list[Resource]:
    """JSON instead of Envoy's prose; what a server answers is never touched."""
    return [
        _mapper(["NR"], f"no service '{_FIRST_SEGMENT}' at this gateway (`shipway services` lists them)"),
        _mapper(_UPSTREAM_FLAGS, "service '%ROUTE_NAME%': %LOCAL_REPLY_BODY%"),
    ]


def _mapper(flags: list[str], error: str) -> Resource:
    return {
        "filter": {"response_flag_filter": {"flags": flags}},
        "body_format_override": {"json_format": {"error": error}},
    }
