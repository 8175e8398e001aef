"""What stands beside the Pods of a workload and is read by them: ServiceAccount, Secret, ConfigMaps, claims. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import folders
from shipway.cluster.kubernetes.render.labels import labels, of_claim
from shipway.cluster.kubernetes.render.variables import env_secret_name
from shipway.errors import NotFound, UserError
from shipway.kinds import Volume

LARGEST_MAP = 2**20  # bytes that a Secret or a ConfigMap may hold
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


def named(
    api: str, kind: str, name: str, place: Place, labelled: Manifest, annotations: Manifest | None = None
) -> dict[str, Any]:
    """The head of an object."""
    metadata = {
        "name": name,
        **({"namespace": place.namespace} if place.namespace else {}),
        "labels": dict(labelled),
        **({"annotations": dict(sorted(annotations.items()))} if annotations else {}),
    }
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def beside(bundle: Bundle, place: Place, component: str, *, claims: bool = True) -> tuple[dict[str, Any], ...]:
    """The objects, in the order in which they are applied, before whatever makes the Pods. ``claims``: those of new
    volumes too. Raises NotFound for a secret that is not there, UserError for files that no ConfigMap takes."""
    labelled = labels(bundle, place, component)
    account = {
        **named("v1", "ServiceAccount", bundle.workload.name, place, labelled),
        "automountServiceAccountToken": False,
    }
    values = _secret_values(bundle, place)
    secret = {
        **named("v1", "Secret", env_secret_name(bundle), place, labelled),
        "type": "Opaque",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
    }
    maps = [
        {
            **named("v1", "ConfigMap", folders.files_name(bundle, one), place, labelled),
            "data": _files(one),
        }
        for one in bundle.terms.volumes
        if one.files
    ]
    wanted = [one for one in bundle.terms.volumes if claims and one.size is not None]
    made = [
        {
            **named("v1", "PersistentVolumeClaim", folders.claim_name(bundle, one), place, kept),
            "spec": claim_spec(one),
        }
        for kept in [of_claim(bundle, place, component)]
        for one in wanted
    ]
    return (account, *([secret] if values else []), *maps, *made)


def claim_spec(volume: Volume) -> dict[str, Any]:
    """Of a new claim, and of its template in a StatefulSet."""
    return {
        "accessModes": [volume.access_mode],
        **({"storageClassName": volume.storage_class} if volume.storage_class is not None else {}),
        "resources": {"requests": {"storage": volume.size}},
    }


def contents(bundle: Bundle, place: Place) -> dict[str, dict[str, str]]:
    """What the Pods read from Secrets and ConfigMaps of ours, by the names of these objects."""
    values = _secret_values(bundle, place)
    files = {folders.files_name(bundle, one): _files(one) for one in bundle.terms.volumes if one.files}
    return {**({env_secret_name(bundle): values} if values else {}), **files}


def _secret_values(bundle: Bundle, place: Place) -> dict[str, str]:
    """By variable. Raises NotFound, naming secret and key."""
    found = {}
    for variable, (name, key) in sorted(bundle.workload.secret_env.items()):
        if key not in place.secrets.get(name, {}):
            raise NotFound(
                f"{bundle.terms.owner.kind} {bundle.terms.owner.name!r}: env {variable}: there is no secret {name!r} "
                f"with key {key!r}",
                next_step=f"shipway secret set {name} {key}",
            )
        found[variable] = place.secrets[name][key]
    return found


def _files(volume: Volume) -> dict[str, str]:
    wrong = [name for name in volume.files if not _KEY.fullmatch(name) or name in (".", "..")]
    if wrong:
        raise UserError(
            f"volume {volume.name!r}: {wrong[0]!r} is no file name for a ConfigMap: letters, digits, '-', '_' and '.', "
            "at most 253, and no folders",
            next_step="put the file into the image, or give it another name",
        )
    size = sum(len(name.encode()) + len(text.encode()) for name, text in volume.files.items())
    if size > LARGEST_MAP:
        raise UserError(
            f"volume {volume.name!r}: its files have {size} bytes, and a ConfigMap takes {LARGEST_MAP}",
            next_step="put them into the image, or onto a claim",
        )
    return dict(sorted(volume.files.items()))
