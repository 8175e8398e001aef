"""Bundles to Kubernetes objects that stand in a repository: without a hub's marks and without values of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shipway.bundle import Workload
from shipway.cluster.kubernetes.names import HASH, MAIN, Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.text import yaml_of
from shipway.cluster.kubernetes.render.variables import env_secret_name
from shipway.kinds import Object
from shipway.rendering.bundles import Placed, bundles
from shipway.rendering.world import Known, Wanted

HEAD = "# Made by `shipway render`; it writes this file again.\n"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of one job or service. ``secrets``: which keys of which Secrets must be in the namespace."""

    kind: Literal["service", "job"]
    name: str
    image: str
    manifests: tuple[dict[str, Any], ...]
    secrets: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> str:
        """The name of a file of its own: a service and a job may be called the same."""
        return f"{self.kind}-{self.name}.yaml"


def rendered(objects: Sequence[Object], wanted: Wanted, known: Known) -> tuple[Rendered, ...]:
    """In the order of the objects. Raises UserError for what nobody said and for what Kubernetes cannot express."""
    return tuple(_rendered(one, wanted) for one in bundles(objects, wanted, known))


def text(parts: Iterable[Rendered]) -> str:
    """All of them as one YAML text."""
    return HEAD + yaml_of([manifest for one in parts for manifest in one.manifests])


def containers(manifest: Manifest) -> list[dict[str, Any]]:
    """The containers of the Pods that an object makes; none where it makes none."""
    spec = manifest.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    found: list[dict[str, Any]] = spec.get("template", {}).get("spec", {}).get("containers", [])
    return found


def main_container(manifest: Manifest) -> dict[str, Any] | None:
    """The one with the user's command."""
    return next((one for one in containers(manifest) if one["name"] == MAIN), None)


def _rendered(placed: Placed, wanted: Wanted) -> Rendered:
    workload, terms = placed.bundle.workload, placed.bundle.terms
    made = [_without_marks(one) for one in render(placed.bundle, _place(placed, wanted))]
    kept = [_with_references(one, placed) for one in made if not _is_env_secret(one, placed)]
    secrets = tuple(sorted(set(workload.secret_env.values())))
    kind: Literal["service", "job"] = "service" if workload.mode == "server" else "job"
    return Rendered(kind, workload.name, terms.image, tuple(kept), secrets)


def _place(placed: Placed, wanted: Wanted) -> Place:
    workload = placed.bundle.workload
    pushes = bool(workload.afterwards)  # a job that makes a model; of others nothing leaves the Pod
    return Place(
        namespace=wanted.namespace,
        owner="",  # no hub answers for these objects
        courier=wanted.courier if workload.mode == "server" or pushes else "",
        outputs=f"{wanted.registry.rstrip('/')}/outputs" if pushes else "",
        pull_secret=wanted.pull_secret,
        image_volumes=not wanted.courier,
        references=placed.references,
        secrets=_blank(workload),
    )


def _blank(workload: Workload) -> Mapping[str, Mapping[str, str]]:
    """No values: rendering asks for some, and what it makes of them is taken out again."""
    found: dict[str, dict[str, str]] = {}
    for name, key in workload.secret_env.values():
        found.setdefault(name, {})[key] = ""
    return found


def _is_env_secret(manifest: Manifest, placed: Placed) -> bool:
    return (manifest["kind"], manifest["metadata"]["name"]) == ("Secret", env_secret_name(placed.bundle))


def _without_marks(manifest: Manifest) -> dict[str, Any]:
    """Without the annotation by which a hub sees what it applied."""
    metadata = dict(manifest["metadata"])
    annotations = {name: value for name, value in metadata.pop("annotations", {}).items() if name != HASH}
    return {**manifest, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def _with_references(manifest: dict[str, Any], placed: Placed) -> dict[str, Any]:
    """Each variable from a secret names the Secret itself, where a hub would have made one of the values."""
    for container in containers(manifest):
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference is not None and reference["name"] == env_secret_name(placed.bundle):
                name, key = placed.bundle.workload.secret_env[variable["name"]]
                variable["valueFrom"] = {"secretKeyRef": {"name": name, "key": key}}
    return manifest
