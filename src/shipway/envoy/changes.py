"""From one routing table to the next without losing a request, and how far a gateway got. Pure.

The order is make before break: what is new is there and warm before a route points to it, and what is old
goes only when no route points to it any more.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from shipway.traffic import GatewayState, RoutingTable, Upstream, VirtualRoute

_UPSTREAM_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]{0,199}")
_SERVICE_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,62}")
_ADDRESS = re.compile(r"[^\s]+:[0-9]{1,5}")


def refusal(table: RoutingTable) -> str:
    """What makes the table nonsense, in one sentence; empty when nothing does."""
    return next(_problems(table), "")


def stages(old: RoutingTable, new: RoutingTable) -> tuple[RoutingTable, ...]:
    """The tables to go through, in order; the last is ``new``.

    An upstream that loses all its endpoints keeps the old ones until no route points to it.
    """
    before, after = ({one.name: one for one in table.upstreams} for table in (old, new))
    both = {
        name: after[name] if name in after and after[name].endpoints else before.get(name) or after[name]
        for name in before | after
    }
    union = tuple(sorted(both.values()))
    way = (RoutingTable(union, old.routes), RoutingTable(union, new.routes), new)
    return tuple(table for at, table in enumerate(way) if table not in way[at + 1 :])


def judge(versions: Mapping[str, str], before: Mapping[str, str], now: Mapping[str, str]) -> GatewayState:
    """What the gateway's statistics say of the wanted ``versions`` (by statistic).

    ``before`` are the statistics from before the change: refusals since then are of this change.
    """
    late = sorted(name for name, version in versions.items() if now.get(f"{name}.version_text") != version)
    refused = [name for name in late if _failures(now, name) not in (0, _failures(before, name))]
    if refused:
        return GatewayState(False, "Rejected", f"Envoy refused {', '.join(refused)}")
    if late:
        return GatewayState(False, "Warming", f"Envoy does not show yet: {', '.join(late)}")
    waiting = [name for name in _WARMING if int(now.get(name, 0))]
    if waiting:
        return GatewayState(False, "Warming", f"Envoy still has {', '.join(waiting)}")
    return GatewayState(True, "Programmed")


def last_refusal(log: str) -> str:
    """Why Envoy refused a file, from the last such line of its log; empty when there is none."""
    found = _REFUSAL_LINE.findall(log)
    return found[-1].strip() if found else ""


def table_text(table: RoutingTable) -> str:
    """The table as JSON."""
    return json.dumps(asdict(table), separators=(",", ":"))


def parse_table(text: str) -> RoutingTable:
    """The inverse of :func:`table_text`. Raises ValueError, KeyError or TypeError when it is not one."""
    document = json.loads(text)
    return RoutingTable(
        upstreams=tuple(
            Upstream(one["name"], tuple(one["endpoints"]), tuple(one.get("grpc", ())))  # an earlier Shipway's has none
            for one in document["upstreams"]
        ),
        routes=tuple(
            VirtualRoute(**{**one, "weights": tuple((name, weight) for name, weight in one["weights"])})
            for one in document["routes"]
        ),
    )


_WARMING = ("cluster_manager.warming_clusters", "listener_manager.total_listeners_warming")
# filesystem_subscription_impl.cc: "rejected" for content that Envoy understood, "failure" for what it could not read.
_REFUSAL_LINE = re.compile(r"Filesystem config update (?:rejected|failure): (.*)")


def _failures(statistics: Mapping[str, str], name: str) -> int:
    return sum(int(statistics.get(f"{name}.{kind}", 0)) for kind in ("update_rejected", "update_failure"))


def _problems(table: RoutingTable) -> Iterator[str]:
    known = {upstream.name for upstream in table.upstreams}
    for kind, names in (
        ("upstream", [one.name for one in table.upstreams]),
        ("service", [one.service for one in table.routes]),
    ):
        yield from (f"{kind} {name!r} is there twice" for name, count in Counter(names).items() if count > 1)
    for upstream in table.upstreams:
        if not _UPSTREAM_NAME.fullmatch(upstream.name):
            yield f"{upstream.name!r} is not a name of an upstream: letters, digits, '-', '.', '_'"
        for address in (*upstream.endpoints, *upstream.grpc):
            if not _ADDRESS.fullmatch(address):
                yield f"endpoint {address!r} of upstream {upstream.name!r} is not host:port"
    for route in table.routes:
        if not _SERVICE_NAME.fullmatch(route.service):
            yield f"{route.service!r} is not a name of a service: lower-case letters, digits, '-'"
        if min(route.timeout, route.retries, *(weight for _, weight in route.weights)) < 0:
            yield f"service {route.service!r} has a negative timeout, weight or number of retries"
        for name, _ in route.weights:
            if name not in known:
                yield f"service {route.service!r} points to upstream {name!r}, which does not exist"
