"""Volumes of a Pod with the places where its container mounts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shipway.detect import object_name
from shipway.importing.block import Block
from shipway.importing.losses import Losses
from shipway.importing.manifests import Manifest, named
from shipway.importing.settings import Settings

_SCRATCH = "1Gi"  # Kubernetes bounds an emptyDir without a size by the node's disk, we bound each
_PATCH = "keep it as a patch of yours on what `shipway render --format kustomize` writes"


@dataclass(slots=True)
class Claims:
    """The PersistentVolumeClaims of all files, and whose they are: one that several mount stays what it is."""

    manifests: Mapping[str, Manifest]
    used_by: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifests: Iterable[Manifest], pods: Iterable[tuple[Manifest, Block]]) -> Claims:
        found = cls(named(manifests, "PersistentVolumeClaim"))
        for manifest, pod in pods:
            for volume in pod.blocks("volumes"):
                claim = volume.block("persistentVolumeClaim").peek("claimName")
                found.used_by.setdefault(str(claim), set()).add(manifest.key)
        return found

    def made_for(self, claim: str) -> Manifest | None:
        """The claim's manifest, where one workload alone mounts it."""
        return self.manifests.get(claim) if len(self.used_by.get(claim, ())) == 1 else None

    def tell_left(self, losses: Losses) -> None:
        for name, one in self.manifests.items():
            users = sorted(self.used_by.get(name, ()))
            if not users:
                losses.tell(
                    one, (), "nothing in these files mounts it", "leave it out, or give what mounts it: -f FILE"
                )
            elif len(users) > 1:
                losses.tell(
                    one, (), f"{' and '.join(users)} share it", f"make it once: kubectl apply -f {one.file or 'FILE'}"
                )
            else:
                losses.tell_left(one)


def volumes(
    pod: Block,
    container: Block,
    templates: list[Block],
    manifest: Manifest,
    settings: Settings,
    claims: Claims,
    losses: Losses,
) -> list[dict[str, Any]]:
    """``spec.volumes``: one for every place where the container mounts one. ``templates``: a StatefulSet's claims."""
    sources = {one.text("name"): one for one in pod.blocks("volumes")}
    new = {one.block("metadata").text("name"): one.block("spec") for one in templates}
    found: list[dict[str, Any]] = []
    for mount in container.blocks("volumeMounts"):
        name, path = mount.text("name"), mount.text("mountPath")
        if name in new:
            what: dict[str, Any] | None = _claimed(new[name])
        elif name in sources:
            what = _what(sources[name], manifest, settings, claims, losses)
        else:
            losses.tell(manifest, mount.path, f"there is no volume {name!r}")
            continue
        if what is None:
            mount.all()
            continue
        ours = _unused(object_name(name), {one["name"] for one in found})
        if ours != object_name(name) and ({"size", "scratch"} & what.keys()):
            mount.all()
            losses.tell(manifest, mount.path, f"the volume {name!r} is mounted twice", "read it at its first path")
            continue
        extra: dict[str, Any] = {"readOnly": True} if mount.flag("readOnly") else {}
        if sub_path := mount.text("subPath"):
            extra["subPath"] = sub_path
        found.append({"name": ours, "path": path, **what, **extra})
    mounted = {str(mount.peek("name")) for mount in container.blocks("volumeMounts")}
    for name in sources.keys() - mounted:
        sources[name].all()  # what no one mounts does nothing
    return found


def _unused(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _what(
    volume: Block, manifest: Manifest, settings: Settings, claims: Claims, losses: Losses
) -> dict[str, Any] | None:
    """The source of a volume; None where it cannot be carried over, which is told."""
    if "emptyDir" in volume:
        empty = volume.block("emptyDir")
        return {"scratch": empty.scalar("sizeLimit") or _SCRATCH}
    if "configMap" in volume:
        return _config_map(volume.block("configMap"), manifest, settings, losses)
    if "secret" in volume:
        secret = volume.block("secret")
        name = secret.text("secretName")
        secret.take("optional", bool)
        settings.mounted(name)
        why = f"the Secret {name!r} is mounted as files, and its values stand in no file of Shipway"
        losses.tell(manifest, secret.path, why, "it must be in the cluster's namespace: kubectl apply -f FILE")
        return {"secret": name}
    if "persistentVolumeClaim" in volume:
        wanted = volume.block("persistentVolumeClaim")
        name = wanted.text("claimName")
        wanted.take("readOnly", bool)
        made = claims.made_for(name)
        return _claimed(made.block.block("spec")) if made is not None else {"claim": name}
    kind = next((one for one in volume.names() if one != "name"), "emptyDir")
    if kind == "emptyDir":  # `emptyDir:` without a value
        volume.all()
        return {"scratch": _SCRATCH}
    volume.all()
    path = (*volume.path, kind)
    if kind == "hostPath":
        next_step = "use {size: 1Gi}, a claim, or scratch"
        losses.tell(manifest, path, "the profile `restricted` allows no folder of a node", next_step)
    else:
        losses.tell(manifest, path, f"volumes of the kind {kind} are none of Shipway's", _PATCH)
    return None


def _config_map(wanted: Block, manifest: Manifest, settings: Settings, losses: Losses) -> dict[str, Any] | None:
    name = wanted.text("name")
    wanted.take("optional", bool)
    texts = settings.files(name)
    items = wanted.blocks("items")
    if texts is None:
        if items:
            losses.tell(manifest, (*wanted.path, "items"), "all keys of the ConfigMap become files")
            for one in items:
                one.all()
        return {"configMap": name}
    if items:
        texts = {one.text("path"): texts.get(one.text("key"), "") for one in items}
    if not texts:
        losses.tell(manifest, wanted.path, f"the ConfigMap {name!r} has no text")
        return None
    return {"files": dict(texts)}


def _claimed(spec: Block) -> dict[str, Any]:
    """A claim of the replica's own, or of the service's."""
    resources = spec.block("resources")
    found: dict[str, Any] = {"size": resources.block("requests").scalar("storage")}
    modes = spec.words("accessModes")
    if modes and modes[0] != "ReadWriteOnce":
        found["accessMode"] = modes[0]
    if storage_class := spec.text("storageClassName"):
        found["storageClass"] = storage_class
    return found
