"""All manifests to our objects: workloads first, then what stands beside them, then what is left of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shipway.detect import object_name
from shipway.errors import InvalidObject
from shipway.importing import runs, workloads
from shipway.importing.faces import Faces, behind
from shipway.importing.losses import Loss, Losses
from shipway.importing.manifests import Manifest
from shipway.importing.pods import Fields, World
from shipway.importing.settings import Settings, StoredSecret
from shipway.importing.storage import Claims
from shipway.importing.workloads import Server, template_of
from shipway.kinds import API_VERSION
from shipway.kinds.load import object_from_document

_LATER = {"ConfigMap", "Secret", "PersistentVolumeClaim"}  # told when it is known who used them

_WHOLE = {
    "ServiceAccount": ("Pods get an account of their own, without token and rights", ""),
    "Namespace": ("the namespace is the cluster's", "name it: shipway cluster add --namespace"),
    "DaemonSet": ("a service runs a number of replicas, not one on each node", "kubectl apply -f FILE"),
    "PersistentVolume": ("what a cluster offers is its own", "kubectl apply -f FILE"),
}

# The order in which people read a spec.
_ORDER = (
    "image", "command", "args", "port", "schedule", "replicas", "mode", "indexed", "env", "resources", "startup",
    "readiness", "liveness", "volumes", "placement", "stableIdentity", "gracePeriod", "retries", "timeout", "ttl",
    "rollout", "rollingUpdate", "scaling", "disruption", "expose",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Imported:
    """``objects`` are documents of our kinds, valid, with what was said only."""

    objects: tuple[dict[str, Any], ...]
    losses: tuple[Loss, ...]
    secrets: tuple[StoredSecret, ...]

    @property
    def here(self) -> tuple[str, ...]:
        """What each object comes to on this machine, which runs processes and no images. In sentences."""
        told = []
        for one in self.objects:
            kind, name, spec = one["kind"], one["metadata"]["name"], one["spec"]
            if not spec.get("command"):
                told.append(
                    f"{kind} {name} starts what the image {spec['image']} has, so it runs on a cluster only; for this "
                    "machine give it a command, and put the code into the folder"
                )
            elif image := spec.get("image"):
                told.append(
                    f"{kind} {name} runs `{' '.join(spec['command'])}` as a process on this machine, with the files of "
                    f"the folder; the image {image} is for clusters. Without image, Shipway builds one of the folder"
                )
        return tuple(told)


def convert(manifests: Sequence[Manifest]) -> Imported:
    """The objects that they come to. Raises InvalidObject: a field has a type that Kubernetes would refuse, or the same
    object is given twice."""
    losses = Losses()
    _refuse_twins(manifests)
    serving = [one for one in manifests if one.kind in workloads.KINDS and not runs.ends(one)]
    running = [one for one in manifests if one.kind in runs.KINDS or runs.ends(one)]
    pods = [(one, _pod_spec(one)) for one in (*serving, *running)]
    world = World(Settings(manifests, losses), Claims.of(manifests, pods), losses)
    servers, before = _servers(manifests, serving, world)
    faces = Faces(tuple(servers), before, losses)
    names = _Names(losses)
    jobs = [(one, names.ours(one, "ModelJob"), runs.job(one, world)) for one in running]
    for one in manifests:
        if one in serving or one in running:
            losses.tell_left(one)
        elif one.kind not in _LATER and not faces.add(one):
            losses.tell(
                one,
                (),
                *_WHOLE.get(
                    one.kind, (f"{one.kind} is none of the kinds that are understood", "kubectl apply -f FILE")
                ),
            )
    world.settings.tell_left()
    world.claims.tell_left(losses)
    made = [
        *(_object("ModelJob", one, name, fields, losses) for one, name, fields in jobs),
        *(_object("ModelService", one.manifest, one.name, one.fields, losses) for one in servers),
    ]
    return Imported(tuple(made), losses.sorted(), _needed(made, world.settings))


def _needed(made: Iterable[dict[str, Any]], settings: Settings) -> tuple[StoredSecret, ...]:
    values = (value for one in made for value in one["spec"].get("env", {}).values())
    named = {(one["secret"]["name"], one["secret"]["key"]) for one in values if isinstance(one, dict)}
    return tuple(settings.secrets[key] for key in sorted(named))


def _refuse_twins(manifests: Sequence[Manifest]) -> None:
    seen: dict[tuple[str, str, str], Manifest] = {}
    for one in manifests:
        key = (one.kind, one.namespace, one.name)
        if key in seen:
            first = seen[key]
            raise one.block.block("metadata").refuse(
                "name", f"{one.key} is given twice: first in {first.file}:{first.block.line()}"
            )
        seen[key] = one


def _pod_spec(manifest: Manifest) -> Any:
    if manifest.kind == "CronJob":
        return manifest.block.block("spec").block("jobTemplate").block("spec").block("template").block("spec")
    return template_of(manifest).block("spec")


def _servers(
    manifests: Sequence[Manifest], serving: Sequence[Manifest], world: World
) -> tuple[list[Server], dict[str, Server]]:
    """The servers, and which of them is behind each Service."""
    services = [one for one in manifests if one.kind == "Service"]
    labels = {one.key: template_of(one).block("metadata").peek("labels") or {} for one in serving}
    fronts = behind(services, labels)
    targets: dict[str, list[str]] = {}
    for one in services:
        for port in one.block.block("spec").blocks("ports"):
            wanted = port.peek("targetPort") or port.peek("port")
            targets.setdefault(fronts.get(one.name, ""), []).append(str(wanted))
    names = _Names(world.losses)
    servers = [
        workloads.server(one, names.ours(one, "ModelService"), world, targets.get(one.key, [])) for one in serving
    ]
    by_key = {one.manifest.key: one for one in servers}
    return servers, {name: by_key[key] for name, key in fronts.items()}


class _Names:
    """Our names of objects: valid, and each given once."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._given: set[str] = set()

    def ours(self, manifest: Manifest, kind: str) -> str:
        number, wanted = 1, object_name(manifest.name)
        name = wanted
        while name in self._given:
            number += 1
            name = f"{wanted[:40]}-{number}"
        self._given.add(name)
        if name != manifest.name:
            self._losses.tell(manifest, (*manifest.block.path, "metadata", "name"), f"the {kind} is called {name}")
        return name


def _object(kind: str, manifest: Manifest, name: str, fields: Fields, losses: Losses) -> dict[str, Any]:
    """The document, less what our kinds refuse, which is told."""
    spec = {field: fields[field] for field in _ORDER if fields.get(field) not in (None, {}, [], "")}
    if fields.get("replicas") == 0:
        spec["replicas"] = 0
    metadata: dict[str, Any] = {"name": name} | ({"labels": dict(manifest.labels)} if manifest.labels else {})
    document = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    while True:
        try:
            object_from_document(document)
        except InvalidObject as invalid:
            for error in invalid.errors:
                top = error.path.removeprefix("spec.").partition(".")[0].partition("[")[0]
                if spec.pop(top, None) is None:
                    raise InvalidObject(
                        invalid.errors, next_step=f"This is of {manifest.key} in {manifest.file}."
                    ) from None
                losses.tell(manifest, (), f"{error.path}: {error.message}", "write it by hand: docs/kinds.md")
        else:
            return document
