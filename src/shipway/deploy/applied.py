"""What is applied, and what the hub answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.deploy import documents
from shipway.deploy.progress import follows
from shipway.kinds import Object

Annotations = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Applied:
    """One result of an apply: ``result`` is created, configured or unchanged; ``object`` as the hub has it."""

    result: str
    object: documents.Object

    @property
    def key(self) -> documents.Key:
        return documents.key_of(self.object)

    @property
    def wanted(self) -> tuple[str, str, int]:
        return (*self.key, self.object["metadata"]["generation"])


def followed(applied: Iterable[Applied]) -> list[tuple[str, str, int]]:
    """What ``up`` waits for: (kind, name, generation)."""
    return [one.wanted for one in applied if follows(one.key[0])]


def document(obj: Object, annotations: Annotations) -> dict[str, Any]:
    """What the user declares; status, uid and the like are the hub's."""
    full = obj.to_json()
    metadata = {
        name: full["metadata"][name] for name in ("name", "labels", "annotations") if full["metadata"].get(name)
    }
    if annotations:
        metadata["annotations"] = {**metadata.get("annotations", {}), **annotations}
    return {"apiVersion": full["apiVersion"], "kind": full["kind"], "metadata": metadata, "spec": full["spec"]}
