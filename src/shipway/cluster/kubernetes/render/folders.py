"""Which folders the container of the user's command sees: its scratch, its model, the volumes that were declared. Pure.

Source: https://kubernetes.io/docs/concepts/storage/volumes/; image volumes: KEP-4639.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render.labels import checked_reference
from shipway.errors import PlatformError, UserError
from shipway.kinds import Volume

TMP = "/tmp"
MODEL = "/model"
DATA = "/var/lib/shipway"

_OURS = ("/model", "/inputs", "/shipway")  # no volume of a user's hides these
_RESERVED = {"tmp", "shm", "shipway", "output", "model", "data-dir", "inputs", "pull-credentials", "push-credentials"}


@dataclass(frozen=True, slots=True)
class Folder:
    """A volume of the Pod, and where the main container mounts it. ``brings``: folder to reference by digest, which the
    courier puts there before the main container starts."""

    volume: Manifest | None  # None: a StatefulSet makes it of its template
    mount: Manifest
    brings: tuple[tuple[str, str], ...] = ()


def scratch(name: str, path: str) -> Folder:
    """An empty folder of the Pod, gone with it."""
    return Folder({"name": name, "emptyDir": {}}, {"name": name, "mountPath": path})


def shared_memory() -> Folder:
    """Runtimes give containers 64 MiB of it, and the workers of a PyTorch DataLoader hand their batches over in there.

    Without a limit of its own: kubelet makes it as large as the Pod's memory limit, and what lies in it counts to the
    limit of the container that wrote it."""
    volume = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    return Folder(volume, {"name": "shm", "mountPath": "/dev/shm"})


def model(bundle: Bundle, place: Place) -> tuple[Folder, ...]:
    """The model's files, read-only: mounted as an image, or brought by the courier."""
    digest = bundle.workload.model
    if digest is None:
        return ()
    found, mount = reference(place, digest), {"name": "model", "mountPath": MODEL, "readOnly": True}
    if place.image_volumes:
        image = {"reference": found, "pullPolicy": "IfNotPresent"}  # by digest: it cannot have changed
        return (Folder({"name": "model", "image": image}, mount),)
    return (Folder({"name": "model", "emptyDir": {}}, mount, ((MODEL, found),)),)


def reference(place: Place, digest: str) -> str:
    """Where the nodes find an artifact. Raises PlatformError: whoever renders has sent it before."""
    if digest not in place.references:
        raise PlatformError(f"{digest} is nowhere in the registry of the cluster's nodes")
    return place.references[digest]


def declared(bundle: Bundle, *, per_replica: bool = False) -> tuple[Folder, ...]:
    """The volumes of the object's user. ``per_replica``: new claims are made by the StatefulSet, one for each replica.
    Raises UserError for a path that is taken."""
    found, paths = [], set[str]()
    for one in bundle.terms.volumes:
        path = one.path.rstrip("/") or one.path
        if ":" in path or path in paths or any(path == ours or path.startswith(f"{ours}/") for ours in _OURS):
            raise UserError(
                f"volume {one.name!r}: the path {one.path!r} cannot be mounted: it is another volume's, or Shipway's "
                f"({', '.join(_OURS)}), or has a ':' in it",
                next_step="give it another path",
            )
        if one.sub_path.startswith("/") or ".." in one.sub_path.split("/"):
            raise UserError(
                f"volume {one.name!r}: subPath {one.sub_path!r} must be a path below the volume, without '..'"
            )
        paths.add(path)
        templated = per_replica and one.size is not None
        volume = None if templated else {"name": volume_name(one), **_source(bundle, one)}
        found.append(Folder(volume, _mount(one, path)))
    return tuple(found)


def joined(own: Iterable[Folder], users: Collection[Folder]) -> tuple[Folder, ...]:
    """Ours and the user's. Where a user mounts a volume at a scratch folder of ours (a claim at /tmp, so that it is
    kept), the user's is mounted; ours stays a volume, which the courier may use."""
    taken = {one.mount["mountPath"] for one in users}
    return (
        *(Folder(one.volume, {}, one.brings) if one.mount["mountPath"] in taken else one for one in own),
        *users,
    )


def volume_name(volume: Volume) -> str:
    """In the Pod: as the user calls it, unless it is a name of ours."""
    return f"volume-{volume.name}" if volume.name in _RESERVED else volume.name


def claim_name(bundle: Bundle, volume: Volume) -> str:
    """Of the object and not of the workload: every run of a job has the same one. Dots, which no name of ours has: the
    volume b-c of a must not be the volume c of a-b."""
    owner = bundle.terms.owner
    return f"{owner.name}.{volume.name}" if owner.kind == "ModelService" else f"{owner.name}.job.{volume.name}"


def files_name(bundle: Bundle, volume: Volume) -> str:
    """The ConfigMap with a volume's files."""
    return f"{bundle.workload.name}.{volume.name}"


def _source(bundle: Bundle, one: Volume) -> dict[str, Any]:
    what = f"volume {one.name!r}"
    if one.files:
        return {"configMap": {"name": files_name(bundle, one)}}
    if one.config_map is not None:
        return {"configMap": {"name": checked_reference(one.config_map, what)}}
    if one.secret is not None:
        # Root's, with the Pod's group: nobody else need read it.
        return {"secret": {"secretName": checked_reference(one.secret, what), "defaultMode": 0o440}}
    if one.scratch is not None:
        return {"emptyDir": {"sizeLimit": one.scratch}}
    claim = claim_name(bundle, one) if one.claim is None else checked_reference(one.claim, what)
    return {"persistentVolumeClaim": {"claimName": claim}}


def _mount(one: Volume, path: str) -> dict[str, Any]:
    read_only = one.read_only or one.access_mode == "ReadOnlyMany"
    return {
        "name": volume_name(one),
        "mountPath": path,
        **({"readOnly": True} if read_only else {}),
        **({"subPath": one.sub_path} if one.sub_path else {}),
    }
