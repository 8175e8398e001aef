"""How a service is reached, and what it reaches: Service, Ingress or HTTPRoute, NetworkPolicy. Pure.

Source: https://kubernetes.io/docs/concepts/services-networking/; https://gateway-api.sigs.k8s.io (v1).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from shipway import program
from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render.beside import named
from shipway.cluster.kubernetes.render.folders import Folder
from shipway.cluster.kubernetes.render.labels import checked_reference, selector
from shipway.errors import UserError

HTTP = "http"  # names of ports, of containers and Services alike
GRPC = "grpc"

_DNS = (53, 5353)  # 5353: where OpenShift's Pods of DNS listen; a policy judges a packet after its port was exchanged


def ports(bundle: Bundle) -> list[dict[str, Any]]:
    """The container's; none of a workload that does not serve."""
    workload, terms = bundle.workload, bundle.terms
    found = {HTTP: terms.port} if workload.serves else {}
    if workload.grpc:
        found[GRPC] = terms.grpc_port
    return [{"name": name, "containerPort": number, "protocol": "TCP"} for name, number in found.items()]


def service(bundle: Bundle, place: Place, labelled: Manifest) -> dict[str, Any]:
    """What gives the replicas one address. Raises UserError when it would have one port twice."""
    exposure = bundle.terms.exposure
    if bundle.workload.grpc and exposure.port == bundle.terms.grpc_port:
        raise UserError(
            f"{bundle.terms.owner.name!r}: expose.port {exposure.port} is the port of gRPC, which follows port",
            next_step="give another expose.port, or another port",
        )
    http: dict[str, Any] = {**_port(HTTP, exposure.port), "appProtocol": "http"}
    if exposure.node_port is not None and exposure.service != "ClusterIP":
        http["nodePort"] = exposure.node_port
    # Kubernetes' own word for gRPC's HTTP/2 without TLS (KEP-3726).
    grpc = {**_port(GRPC, bundle.terms.grpc_port), "appProtocol": "kubernetes.io/h2c"}
    return {
        **named("v1", "Service", bundle.workload.name, place, labelled, exposure.annotations),
        "spec": {
            "type": exposure.service,
            "selector": selector(bundle),
            "ports": [http, *([grpc] if bundle.workload.grpc else [])],
        },
    }


def headless(bundle: Bundle, place: Place, labelled: Manifest) -> dict[str, Any]:
    """What gives each replica of a StatefulSet a name of its own: NAME-0.NAME-pods.NAMESPACE."""
    return {
        **named("v1", "Service", headless_name(bundle), place, labelled),
        "spec": {"clusterIP": "None", "selector": selector(bundle), "ports": [_port(HTTP, bundle.terms.port)]},
    }


def headless_name(bundle: Bundle) -> str:
    """Of the Service with the replicas' own names."""
    return f"{bundle.workload.name}-pods"


def entrance(bundle: Bundle, place: Place, labelled: Manifest) -> tuple[dict[str, Any], ...]:
    """What leads from outside of the cluster to the Service, where that is asked for. The path reaches the replica as
    it came: Ingress has no common way of taking it away."""
    exposure = bundle.terms.exposure
    if exposure.via == "none":
        return ()
    if exposure.via == "ingress":
        return (_ingress(bundle, place, labelled),)
    namespace, _, gateway = exposure.gateway.rpartition("/")
    parent = {
        "name": checked_reference(gateway, "expose.gateway"),
        **({"namespace": checked_reference(namespace, "expose.gateway")} if namespace else {}),
    }
    return (
        {
            **named("gateway.networking.k8s.io/v1", "HTTPRoute", bundle.workload.name, place, labelled),
            "spec": {
                "parentRefs": [parent],
                **({"hostnames": [exposure.host]} if exposure.host else {}),
                "rules": [
                    {
                        "matches": [{"path": {"type": "PathPrefix", "value": exposure.path}}],
                        "backendRefs": [{"name": bundle.workload.name, "port": exposure.port}],
                    }
                ],
            },
        },
    )


def policy(bundle: Bundle, place: Place, labelled: Manifest, folders: tuple[Folder, ...]) -> dict[str, Any]:
    """Nothing in and out, but: its ports, from anywhere; names (DNS), and what it needs.

    What runs a user's own code may call whom it likes, for nobody can know whom it needs. Shipway's server of a model
    calls nobody, unless it sends traces; the courier in the Pod calls the registry.
    """
    incoming = [{"protocol": "TCP", "port": one["containerPort"]} for one in ports(bundle)]
    outgoing: list[dict[str, Any]] = [{}] if _may_call(bundle) else [_names(), *_registries(folders)]
    return {
        **named("networking.k8s.io/v1", "NetworkPolicy", bundle.workload.name, place, labelled),
        "spec": {
            "podSelector": {"matchLabels": selector(bundle)},
            "policyTypes": ["Ingress", "Egress"],
            **({"ingress": [{"ports": incoming}]} if incoming else {}),  # an empty list of ports would mean all
            "egress": outgoing,
        },
    }


def _ingress(bundle: Bundle, place: Place, labelled: Manifest) -> dict[str, Any]:
    exposure = bundle.terms.exposure
    backend = {"service": {"name": bundle.workload.name, "port": {"name": HTTP}}}
    rule = {
        **({"host": exposure.host} if exposure.host else {}),
        "http": {"paths": [{"path": exposure.path, "pathType": "Prefix", "backend": backend}]},
    }
    hosts = {"hosts": [exposure.host]} if exposure.host else {}
    return {
        **named("networking.k8s.io/v1", "Ingress", bundle.workload.name, place, labelled, exposure.annotations),
        "spec": {
            **({"ingressClassName": exposure.ingress_class} if exposure.ingress_class else {}),
            **({"tls": [{**hosts, "secretName": exposure.tls_secret}]} if exposure.tls_secret else {}),
            "rules": [rule],
        },
    }


def _port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "protocol": "TCP", "port": number, "targetPort": name}


def _may_call(bundle: Bundle) -> bool:
    workload = bundle.workload
    own = workload.command != program.MODEL_SERVER or "SHIPWAY_PREDICTOR" in workload.env
    return own or any(name.startswith("OTEL_EXPORTER_") for name in (*workload.env, *workload.secret_env))


def _names() -> dict[str, Any]:
    return {"ports": [{"protocol": protocol, "port": number} for number in _DNS for protocol in ("UDP", "TCP")]}


def _registries(folders: tuple[Folder, ...]) -> list[dict[str, Any]]:
    """By port only: a policy knows no host names. 443 besides, whither registries send their clients for the bytes."""
    hosts = [urlsplit(f"//{found}") for one in folders for _, found in one.brings]
    numbers = sorted({443, *(one.port for one in hosts if one.port)})
    return [{"ports": [{"protocol": "TCP", "port": number} for number in numbers]}] if hosts else []
