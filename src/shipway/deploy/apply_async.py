"""A project into the hub: the snapshots that it lacks, then the objects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shipway.async_client import AsyncHubClient
from shipway.deploy.applied import Annotations, Applied, document
from shipway.deploy.data import version_of
from shipway.deploy.progress import RETRAIN, RETRY, failed
from shipway.deploy.world_async import AsyncWorld
from shipway.errors import HubUnreachable, NotFound
from shipway.kinds import Object
from shipway.project import Project

_MOST_RESTARTS = 5  # of the hub while one project is brought up


async def apply_project(hub: AsyncHubClient, project: Project, annotations: Mapping[str, Annotations]) -> list[Applied]:
    """The snapshots that the hub lacks, then all objects together; ``annotations`` are added by kind.

    Raises InvalidObject for an input whose data set the hub does not know.
    """
    project = await with_data(hub, project)
    await _upload_missing(hub, project)
    return await _apply_objects(hub, project.objects, annotations)


async def compared(hub: AsyncHubClient, project: Project) -> Mapping[str, Any]:
    """What applying it would change, as ``POST /v1/diff`` answers. Nothing is uploaded. Raises as ``apply_project``."""
    project = await with_data(hub, project)
    answer: Mapping[str, Any] = await hub.post("/v1/diff", {"objects": [document(one, {}) for one in project.objects]})
    return answer


async def with_data(hub: AsyncHubClient, project: Project) -> Project:
    """The project with the versions that its data sets have now. Raises InvalidObject for an unknown one."""
    digests: dict[str, str] = {}
    for one in project.data:
        try:
            if one.reference not in digests:
                digests[one.reference] = (await hub.get(version_of(one.reference)))["version"]["digest"]
        except NotFound as problem:
            raise one.error(problem) from None
    return project.with_data(digests) if project.data else project


async def _upload_missing(hub: AsyncHubClient, project: Project) -> None:
    for digest, snapshot in project.snapshots.items():
        try:
            await hub.get(f"/v1/artifacts/{digest}")
        except NotFound:
            with ExitStack() as stack:
                tar = await asyncio.to_thread(stack.enter_context, snapshot.open())
                length = tar.seek(0, os.SEEK_END)
                tar.seek(0)
                await hub.upload(f"/v1/artifacts/{digest}", tar, length, content_type="application/x-tar")


async def _apply_objects(
    hub: AsyncHubClient, objects: Iterable[Object], annotations: Mapping[str, Annotations]
) -> list[Applied]:
    documents = [document(one, annotations.get(one.kind, {})) for one in objects]
    answer = await hub.post("/v1/apply", {"objects": documents})
    return [Applied(one["result"], one["object"]) for one in answer["results"]]


async def bring(
    hub: AsyncHubClient, project: Project, *, retrain: bool, revive: Callable[[], Awaitable[object]]
) -> tuple[list[Applied], AsyncWorld]:
    """Upload and apply for ``up``, and read what the hub has.

    One that dies meanwhile is started again by ``revive``: applying twice is applying once.
    """
    token = datetime.now(UTC).isoformat()
    restarts = 0
    while True:
        try:
            applied = await _brought(hub, project, retrain=retrain, token=token)
            # When an answer was lost: whatever it changed counts as changed.
            told = [replace(one, result="configured") for one in applied] if restarts else applied
            return told, await AsyncWorld.of(hub)
        except HubUnreachable:
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise
            await revive()


async def _brought(hub: AsyncHubClient, project: Project, *, retrain: bool, token: str) -> list[Applied]:
    """``token`` names this request to run again: repeated, it asks for nothing more.

    What failed the last time and did not change is asked for once more: who calls ``up`` again after mending
    something outside of the project expects a try, not the old message.
    """
    project = await with_data(hub, project)
    applied = await apply_project(hub, project, {"ModelJob": {RETRAIN: token}} if retrain else {})
    if any(one.result != "unchanged" for one in applied):
        return applied
    again = {one.key for one in applied if failed(one.object)}
    objects = [one for one in project.objects if one.key in again]
    if not objects:
        return applied
    tried = await _apply_objects(hub, objects, {"ModelJob": {RETRAIN: token}, "ModelService": {RETRY: token}})
    return [one for one in applied if one.key not in again] + tried
