"""Where a service is reached, from inside the cluster outwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields


def replica_address(pod: Manifest, port: str) -> str:
    """``10.0.0.7:8080`` of a container port of that name; empty while the Pod has no address."""
    ip = str(fields.status(pod).get("podIP") or "")
    number = next(
        (one.get("containerPort") for one in fields.container(pod).get("ports") or () if one.get("name") == port), 0
    )
    return f"{_host(ip)}:{number}" if ip and number else ""


def addresses(service: Manifest | None, fronts: Sequence[Manifest], pods: Sequence[Manifest]) -> tuple[str, ...]:
    """URLs: the Service's name, its node port, its load balancer, then Ingress and HTTPRoute.

    A node's address is that of a Pod of ours: listing nodes would need rights in the whole cluster.
    """
    found = [*_of_service(service, pods)] if service is not None else []
    for front in fronts:
        found += _of_ingress(front) if front.get("kind") == "Ingress" else _of_route(front)
    return tuple(dict.fromkeys(found))


def _of_service(service: Manifest, pods: Sequence[Manifest]) -> Iterable[str]:
    meta, spec = fields.metadata(service), fields.spec(service)
    ports: Sequence[Mapping[str, Any]] = spec.get("ports") or ()
    port = next((one for one in ports if one.get("name") == "http"), ports[0] if ports else None)
    if port is None:
        return
    yield f"http://{meta.get('name')}.{meta.get('namespace')}.svc:{port.get('port')}"
    if port.get("nodePort"):
        nodes = sorted({str(fields.status(pod)["hostIP"]) for pod in pods if fields.status(pod).get("hostIP")})
        yield from (f"http://{_host(node)}:{port['nodePort']}" for node in nodes[:1])
    for host in _balancers(service):
        yield f"http://{host}:{port.get('port')}"


def _of_ingress(ingress: Manifest) -> Iterable[str]:
    spec = fields.spec(ingress)
    scheme = "https" if spec.get("tls") else "http"
    for rule in spec.get("rules") or ():
        paths = [one.get("path") or "/" for one in (rule.get("http") or {}).get("paths") or ()] or ["/"]
        hosts = [rule["host"]] if rule.get("host") else list(_balancers(ingress))
        yield from (f"{scheme}://{host}{path}" for host in hosts for path in paths)


def _of_route(route: Manifest) -> Iterable[str]:
    """Which address a Gateway without host names has, its own status says; we read none of its objects."""
    spec = fields.spec(route)
    matches = [match for rule in spec.get("rules") or () for match in rule.get("matches") or ()]
    paths = [(match.get("path") or {}).get("value") or "/" for match in matches] or ["/"]
    return [f"http://{host}{path}" for host in spec.get("hostnames") or () for path in paths]


def _balancers(manifest: Manifest) -> Iterable[str]:
    for one in (fields.status(manifest).get("loadBalancer") or {}).get("ingress") or ():
        if host := one.get("hostname") or one.get("ip"):
            yield _host(str(host))


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
