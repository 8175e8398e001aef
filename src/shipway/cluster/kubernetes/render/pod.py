"""A Pod: what services and jobs share of it. Pure.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (profile "restricted"),
https://kubernetes.io/docs/concepts/scheduling-eviction/.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import CONTENTS, MAIN, REVISION, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import courier
from shipway.cluster.kubernetes.render.beside import contents
from shipway.cluster.kubernetes.render.folders import Folder
from shipway.cluster.kubernetes.render.labels import labels, selector
from shipway.cluster.kubernetes.render.variables import Source, variables
from shipway.errors import UserError

USER = 10001  # whom our images run as
GPU_MODEL = "nvidia.com/gpu.product"  # the label of NVIDIA's feature discovery


def main_container(
    bundle: Bundle, folders: Sequence[Folder], contract: Mapping[str, Source], **more: Any
) -> dict[str, Any]:
    """The container of the user's command. ``contract``: variables that this kind of workload has; ``more``: its other
    fields. Raises UserError when there is no image."""
    workload, terms = bundle.workload, bundle.terms
    if not terms.image:
        raise UserError(
            f"{terms.owner.kind} {terms.owner.name!r} has no image, and a cluster runs nothing else",
            next_step="`shipway up` builds and pushes one; or write image: REPOSITORY@sha256:...",
        )
    made: dict[str, Any] = {
        "name": MAIN,
        "image": terms.image,
        # By digest it cannot have changed; by tag Kubernetes decides (it asks again for ":latest").
        **({"imagePullPolicy": "IfNotPresent"} if "@sha256:" in terms.image else {}),
        **({"command": list(workload.command)} if workload.command else {}),
        **({"args": list(terms.args)} if terms.args else {}),
        "env": variables(bundle, contract),
        **_resources(bundle),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [one.mount for one in folders if one.mount],
        # The last words come with the Pod's status: nobody need ask for its log at each crash.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return {**made, **more}


def bring(place: Place, folders: Sequence[Folder], *, launcher: bool = False) -> list[dict[str, Any]]:
    """The init container that fills the folders that are to be filled, if there are any."""
    filled = [one for one in folders if one.brings]
    items = {folder: found for one in filled for folder, found in one.brings}
    if not items and not launcher:
        return []
    return [courier.bring(place, items, [one.mount for one in filled], launcher=launcher)]


def template(
    bundle: Bundle,
    place: Place,
    component: str,
    *,
    main: Manifest,
    folders: Sequence[Folder],
    init: Sequence[Manifest] = (),
    volumes: Sequence[Manifest] = (),
    together: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """The template of the workload's Pods.

    ``volumes``: the courier's, besides the ``folders``. ``together``: labels that the controller sets; Pods are spread
    among those that are equal in them (the same revision). ``more``: fields of the Pod's spec.
    """
    revision = bundle.terms.owner.revision
    found = contents_digest(bundle, place)
    return {
        "metadata": {
            "labels": {**labels(bundle, place, component), **({REVISION: revision} if revision else {})},
            **({"annotations": {CONTENTS: found}} if found else {}),
        },
        "spec": {
            "serviceAccountName": bundle.workload.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            **({"imagePullSecrets": [{"name": place.pull_secret}]} if place.pull_secret else {}),
            "securityContext": _security(bundle),
            **more,
            **_placement(bundle, together),
            **({"initContainers": list(init)} if init else {}),
            "containers": [main],
            "volumes": [*(one.volume for one in folders if one.volume), *volumes],
        },
    }


def _security(bundle: Bundle) -> dict[str, Any]:
    workload, terms = bundle.workload, bundle.terms
    listens = (*([terms.port] if workload.serves else []), *([terms.grpc_port] if workload.grpc else []))
    # Who is not root may listen below 1024 then; one of the settings that even "restricted" takes.
    low = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]}
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",  # not every file of a large volume at each start
        "seccompProfile": {"type": "RuntimeDefault"},
        **(low if any(port < 1024 for port in listens) else {}),
    }


def _resources(bundle: Bundle) -> dict[str, Any]:
    """Requests equal limits: a replica gets what it may use, and is not the first to be evicted."""
    asked = bundle.terms.resources
    found = {
        "cpu": asked.cpu,
        "memory": asked.memory,
        "ephemeral-storage": asked.ephemeral,
        **{name: str(number) for name, number in sorted(asked.extended.items())},
        **({asked.gpu_resource: str(asked.gpu)} if asked.gpu else {}),
    }
    amounts = {name: amount for name, amount in found.items() if amount is not None}
    return {"resources": {"requests": amounts, "limits": amounts}} if amounts else {}


def _placement(bundle: Bundle, together: Sequence[str]) -> dict[str, Any]:
    asked = bundle.terms.placement
    nodes = {**asked.node_selector, **({GPU_MODEL: asked.gpu_model} if asked.gpu_model else {})}
    tolerations = [
        {
            **({"key": one.key} if one.key else {}),
            "operator": one.operator,
            **({"value": one.value} if one.value else {}),
            **({"effect": one.effect} if one.effect else {}),
            **({"tolerationSeconds": one.toleration_seconds} if one.toleration_seconds is not None else {}),
        }
        for one in asked.tolerations
    ]
    spread = [
        {
            "topologyKey": one.topology_key,
            "maxSkew": one.max_skew,
            "whenUnsatisfiable": one.when_unsatisfiable,
            "labelSelector": {"matchLabels": selector(bundle)},
            **({"matchLabelKeys": list(together)} if together else {}),
        }
        for one in asked.spread
    ]
    found = {
        "nodeSelector": dict(sorted(nodes.items())),
        "tolerations": tolerations,
        "affinity": asked.affinity,
        "topologySpreadConstraints": spread,
        "priorityClassName": asked.priority_class,
    }
    return {name: value for name, value in found.items() if value}


def contents_digest(bundle: Bundle, place: Place) -> str:
    """Changes with what Pods read from Secrets and ConfigMaps of ours, so that they are exchanged; empty without any.

    32 bits of it: whoever may read Pods and not Secrets could try guesses at a secret against a whole digest, and this
    one fits a million wrong guesses of a weak password too. Of ``place`` the secrets count. Raises as
    :func:`beside.contents` does."""
    found = contents(bundle, place)
    if not found:
        return ""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:8]
