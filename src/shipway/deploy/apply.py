# Written by scripts/twins.py from apply_async.py: change that one, and run `make twins`.
"""A project into the hub: the snapshots that it lacks, then the objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shipway.client import HubClient
from shipway.deploy.applied import Annotations, Applied, document
from shipway.deploy.data import version_of
from shipway.deploy.progress import RETRAIN, RETRY, failed
from shipway.deploy.world import World
from shipway.errors import HubUnreachable, NotFound
from shipway.kinds import Object
from shipway.project import Project

_MOST_RESTARTS = 5  # of the hub while one project is brought up


def apply_project(hub: HubClient, project: Project, annotations: Mapping[str, Annotations]) -> list[Applied]:
    """The snapshots that the hub lacks, then all objects together; ``annotations`` are added by kind.

    Raises InvalidObject for an input whose data set the hub does not know.
    """
    project = with_data(hub, project)
    _upload_missing(hub, project)
    return _apply_objects(hub, project.objects, annotations)


def compared(hub: HubClient, project: Project) -> Mapping[str, Any]:
    """What applying it would change, as ``POST /v1/diff`` answers. Nothing is uploaded. Raises as ``apply_project``."""
    project = with_data(hub, project)
    answer: Mapping[str, Any] = hub.post("/v1/diff", {"objects": [document(one, {}) for one in project.objects]})
    return answer


def with_data(hub: HubClient, project: Project) -> Project:
    """The project with the versions that its data sets have now. Raises InvalidObject for an unknown one."""
    digests: dict[str, str] = {}
    for one in project.data:
        try:
            if one.reference not in digests:
                digests[one.reference] = (hub.get(version_of(one.reference)))["version"]["digest"]
        except NotFound as problem:
            raise one.error(problem) from None
    return project.with_data(digests) if project.data else project


def _upload_missing(hub: HubClient, project: Project) -> None:
    for digest, snapshot in project.snapshots.items():
        try:
            hub.get(f"/v1/artifacts/{digest}")
        except NotFound:
            with ExitStack() as stack:
                tar = stack.enter_context(snapshot.open())
                length = tar.seek(0, os.SEEK_END)
                tar.seek(0)
                hub.upload(f"/v1/artifacts/{digest}", tar, length, content_type="application/x-tar")


def _apply_objects(hub: HubClient, objects: Iterable[Object], annotations: Mapping[str, Annotations]) -> list[Applied]:
    documents = [document(one, annotations.get(one.kind, {})) for one in objects]
    answer = hub.post("/v1/apply", {"objects": documents})
    return [Applied(one["result"], one["object"]) for one in answer["results"]]


def bring(
    hub: HubClient, project: Project, *, retrain: bool, revive: Callable[[], object]
) -> tuple[list[Applied], World]:
    """Upload and apply for ``up``, and read what the hub has.

    One that dies meanwhile is started again by ``revive``: applying twice is applying once.
    """
    token = datetime.now(UTC).isoformat()
    restarts = 0
    while True:
        try:
            applied = _brought(hub, project, retrain=retrain, token=token)
            # When an answer was lost: whatever it changed counts as changed.
            told = [replace(one, result="configured") for one in applied] if restarts else applied
            return told, World.of(hub)
        except HubUnreachable:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise
            revive()


def _brought(hub: HubClient, project: Project, *, retrain: bool, token: str) -> list[Applied]:
    """``token`` names this request to run again: repeated, it asks for nothing more.

    What failed the last time and did not change is asked for once more: who calls ``up`` again after mending
    something outside of the project expects a try, not the old message.
    """
    project = with_data(hub, project)
    applied = apply_project(hub, project, {"ModelJob": {RETRAIN: token}} if retrain else {})
    if any(one.result != "unchanged" for one in applied):
        return applied
    again = {one.key for one in applied if failed(one.object)}
    objects = [one for one in project.objects if one.key in again]
    if not objects:
        return applied
    tried = _apply_objects(hub, objects, {"ModelJob": {RETRAIN: token}, "ModelService": {RETRY: token}})
    return [one for one in applied if one.key not in again] + tried
