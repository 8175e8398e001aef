# Written by scripts/twins.py from images_async.py: change that one, and run `make twins`.
"""The images of a project that is to run on clusters: built and pushed in the process of the command, as the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from shipway.client import HubClient
from shipway.deploy.documents import OBJECTS, Key
from shipway.deploy.nouns import BY_KIND
from shipway.errors import NotFound
from shipway.kinds import LOCAL, Cluster, ModelJob, ModelService
from shipway.project import Project
from shipway.transfer import Report, silent

_BUILDING = "shipway.building.on_cluster"  # half a second of imports, which what runs on this machine does without


@dataclass(frozen=True, slots=True)
class Imaged:
    """A project whose workloads all have what their cluster needs; ``built``: the images that were made for it."""

    project: Project
    built: Mapping[Key, str]


def needs_images(project: Project) -> bool:
    """Whether anything of it is to run on a cluster and names no image."""
    return bool(_needed(project))


def with_images(
    hub: HubClient,
    project: Project,
    *,
    report: Report = silent,
    mode: Literal["keep", "locked", "upgrade"] = "keep",
) -> Imaged:
    """An image for each job and service that is to run on a cluster and names none.

    Raises NotFound for a cluster that was not added, and what a build and a registry raise.
    """
    built: dict[Key, str] = {}
    for name, objects in _needed(project).items():
        cluster = _cluster(hub, project, name)
        words = {f"{_WORDS[one.kind]}/{one.name}": one.key for one in objects}
        building = import_module(_BUILDING)
        wanted = building.Wanted(
            project.file,
            tuple(words),
            registry=cluster["spec"]["registry"],
            plain_http=cluster["spec"].get("plainHttp", False),
            base=cluster["spec"].get("base", ""),
            platforms=tuple(cluster.get("status", {}).get("platforms", ())),
            mode=mode,
        )
        made: Mapping[str, str] = building.images(wanted, report)
        built |= {words[word]: image for word, image in made.items()}
    return Imaged(project.with_images(built), built)


def _needed(project: Project) -> Mapping[str, list[ModelJob | ModelService]]:
    """By cluster."""
    needed: dict[str, list[ModelJob | ModelService]] = {}
    for one in project.objects:
        if isinstance(one, ModelJob | ModelService) and one.spec.cluster != LOCAL and not one.spec.image:
            needed.setdefault(one.spec.cluster, []).append(one)
    return needed


def _cluster(hub: HubClient, project: Project, name: str) -> Mapping[str, Any]:
    """As the hub has it, else as the project itself declares it."""
    try:
        found: Mapping[str, Any] = hub.get(f"{OBJECTS}/{BY_KIND['Cluster'].plural}/{name}")
    except NotFound:
        own = next((one for one in project.objects if isinstance(one, Cluster) and one.name == name), None)
        if own is None:
            raise NotFound(f"there is no cluster {name!r}", next_step=_ADD.format(name=name)) from None
        return own.to_json()
    return found


_WORDS = {"ModelJob": "job", "ModelService": "service"}
_ADD = "Add it: shipway cluster add {name} --context CONTEXT --namespace NAMESPACE --registry HOST/TEAM"
