"""A project into the hub: the snapshots that it lacks, then the objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.cli.progress import RETRAIN, RETRY, follows
from shipway.cli.tables import condition
from shipway.client import HubClient
from shipway.errors import NotFound
from shipway.kinds import Object
from shipway.project import Project

Annotations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """One result of an apply: ``result`` is created, configured or unchanged; ``object`` as the hub has it."""

    result: str
    object: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.object["kind"], self.object["metadata"]["name"]

    @property
    def wanted(self) -> tuple[str, str, int]:
        return (*self.key, self.object["metadata"]["generation"])


def upload_missing(hub: HubClient, project: Project) -> int:
    """Upload the snapshots that the hub does not have; how many."""
    count = 0
    for digest, snapshot in project.snapshots.items():
        try:
            hub.get(f"/v1/artifacts/{digest}")
        except NotFound:
            count += 1
            with snapshot.open() as tar:
                length = tar.seek(0, os.SEEK_END)
                tar.seek(0)
                hub.upload(f"/v1/artifacts/{digest}", tar, length, content_type="application/x-tar")
    return count


def apply_objects(hub: HubClient, objects: Iterable[Object], annotations: Mapping[str, Annotations]) -> list[Applied]:
    """Apply them together; ``annotations`` are added by kind."""
    documents = [_document(one, annotations.get(one.kind, {})) for one in objects]
    results = hub.post("/v1/apply", {"objects": documents})["results"]
    return [Applied(one["result"], one["object"]) for one in results]


def bring(hub: HubClient, project: Project, *, retrain: bool, token: str) -> list[Applied]:
    """Upload and apply for ``up``. ``token`` names this request to run again: repeated, it asks for nothing more.

    What failed the last time and did not change is asked for once more: who calls ``up`` again after mending
    something outside of the project expects a try, not the old message.
    """
    upload_missing(hub, project)
    applied = apply_objects(hub, project.objects, {"ModelJob": {RETRAIN: token}} if retrain else {})
    if any(one.result != "unchanged" for one in applied):
        return applied
    again = {one.key for one in applied if _failed(one.object)}
    objects = [one for one in project.objects if one.key in again]
    if not objects:
        return applied
    tried = apply_objects(hub, objects, {"ModelJob": {RETRAIN: token}, "ModelService": {RETRY: token}})
    return [one for one in applied if one.key not in again] + tried


def followed(applied: Iterable[Applied]) -> list[tuple[str, str, int]]:
    """What ``up`` waits for: (kind, name, generation)."""
    return [one.wanted for one in applied if follows(one.key[0])]


def _failed(obj: Mapping[str, Any]) -> bool:
    type_ = {"ModelJob": "Complete", "ModelService": "RolledOut"}.get(obj["kind"], "")
    return bool(condition(obj, type_).get("status") == "False")


def _document(obj: Object, annotations: Annotations) -> dict[str, Any]:
    """What the user declares; status, uid and the like are the hub's."""
    full = obj.to_json()
    metadata = {
        name: full["metadata"][name] for name in ("name", "labels", "annotations") if full["metadata"].get(name)
    }
    if annotations:
        metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    return {"apiVersion": full["apiVersion"], "kind": full["kind"], "metadata": metadata, "spec": full["spec"]}
