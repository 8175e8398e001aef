"""Objects that a workload names and that others must have made: secrets, claims, classes. Pure.

A Pod that names what does not exist is accepted, and waits for it without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shipway.cluster.kubernetes.api.resources import (
    CONFIG_MAPS,
    GATEWAYS,
    PERSISTENT_VOLUME_CLAIMS,
    PRIORITY_CLASSES,
    SECRETS,
    STORAGE_CLASSES,
    Resource,
    resource_of,
)
from shipway.cluster.kubernetes.apply.demand import pod_template
from shipway.cluster.kubernetes.names import Manifest

_BUILT_IN = frozenset({"system-cluster-critical", "system-node-critical"})  # priority classes of every cluster

Named = tuple[Resource, str, str]  # resource, namespace, name


def named(manifests: Sequence[Manifest]) -> tuple[Named, ...]:
    """All that is named and not among the manifests themselves, each once."""
    own = {(resource_of(one), one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in manifests}
    found = dict.fromkeys(one for manifest in manifests for one in _of(manifest))
    return tuple(one for one in found if one not in own)


def _of(manifest: Manifest) -> Iterator[Named]:
    namespace = manifest["metadata"].get("namespace", "")
    spec = manifest.get("spec") or {}
    if (template := pod_template(manifest)) is not None:
        yield from _of_pod(template.get("spec") or {}, namespace)
    for claim in (*(spec.get("volumeClaimTemplates") or ()), manifest):
        storage_class = (claim.get("spec") or {}).get("storageClassName")
        if claim is not manifest or manifest["kind"] == "PersistentVolumeClaim":
            yield from ((STORAGE_CLASSES, "", storage_class),) if storage_class else ()
    if manifest["kind"] == "HTTPRoute":
        for parent in spec.get("parentRefs") or ():
            if parent.get("kind", "Gateway") == "Gateway":
                yield GATEWAYS, parent.get("namespace", namespace), parent["name"]
    if manifest["kind"] == "Ingress":
        for tls in spec.get("tls") or ():
            yield from ((SECRETS, namespace, tls["secretName"]),) if tls.get("secretName") else ()


def _of_pod(spec: Mapping[str, Any], namespace: str) -> Iterator[Named]:
    if (priority := spec.get("priorityClassName")) and priority not in _BUILT_IN:
        yield PRIORITY_CLASSES, "", priority
    for secret in spec.get("imagePullSecrets") or ():
        yield SECRETS, namespace, secret["name"]
    for volume in spec.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield PERSISTENT_VOLUME_CLAIMS, namespace, claim["claimName"]
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ())):
            yield from _source(source, namespace)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from _of_variables(container, namespace)


def _source(source: Mapping[str, Any], namespace: str) -> Iterator[Named]:
    secret, config_map = source.get("secret") or {}, source.get("configMap") or {}
    if (name := secret.get("secretName") or secret.get("name")) and not secret.get("optional"):
        yield SECRETS, namespace, name
    if (name := config_map.get("name")) and not config_map.get("optional"):
        yield CONFIG_MAPS, namespace, name


def _of_variables(container: Mapping[str, Any], namespace: str) -> Iterator[Named]:
    single: Iterable[Mapping[str, Any]] = ((one.get("valueFrom") or {}) for one in container.get("env") or ())
    for source in (*single, *(container.get("envFrom") or ())):
        for key, resource in (
            ("secretKeyRef", SECRETS),
            ("secretRef", SECRETS),
            ("configMapKeyRef", CONFIG_MAPS),
            ("configMapRef", CONFIG_MAPS),
        ):
            if (reference := source.get(key)) and not reference.get("optional"):
                yield resource, namespace, reference["name"]
