"""The garbage collector and the end of namespaces."""

from __future__ import annotations

from contextlib import suppress

from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.schema import Kind
from shipway.testing.kubernetes.server import FakeKubernetes
from shipway.testing.kubernetes.storage import Object

_WAITS, _FREES = "foregroundDeletion", "orphan"


def collect(server: FakeKubernetes) -> None:
    """Delete what has lost its owner, let go what waited for its dependents, empty namespaces that end."""
    stored = [(kind, one) for kind in server.schema.kinds.values() for one in server.storage.items(kind)]
    alive = {one["metadata"]["uid"]: one for _, one in stored}
    for kind, one in stored:
        with suppress(Refusal):
            _look(server, kind, one, alive)
    for namespace in server.peek("namespaces"):
        if namespace["status"]["phase"] == "Terminating":
            _end_namespace(server, namespace, stored)


def _look(server: FakeKubernetes, kind: Kind, one: Object, alive: dict[str, Object]) -> None:
    metadata = one["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    owners = metadata.get("ownerReferences", ())
    if owners and "deletionTimestamp" not in metadata:
        known = [alive.get(owner["uid"]) for owner in owners]
        if not any(known) or any(_WAITS in (each or {}).get("metadata", {}).get("finalizers", ()) for each in known):
            server.delete(kind.plural, name, namespace)
    finalizers = metadata.get("finalizers", ())
    if "deletionTimestamp" not in metadata or not {_WAITS, _FREES} & set(finalizers):
        return
    mine = [each for each in alive.values() if _is_of(each, metadata["uid"])]
    if _FREES in finalizers:
        for each in mine:
            kind_of_it = server.schema.find(each["apiVersion"], each["kind"]).plural
            server.change(
                kind_of_it,
                each["metadata"]["name"],
                lambda live: live["metadata"].pop("ownerReferences", None),
                each["metadata"].get("namespace", ""),
            )
    elif mine:
        return
    left = [each for each in finalizers if each not in (_WAITS, _FREES)]
    server.change(kind.plural, name, lambda live: live["metadata"].update(finalizers=left), namespace)


def _is_of(one: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences", ()))


def _end_namespace(server: FakeKubernetes, namespace: Object, stored: list[tuple[Kind, Object]]) -> None:
    name = namespace["metadata"]["name"]
    inside = [(kind, one) for kind, one in stored if one["metadata"].get("namespace") == name]
    for kind, one in inside:
        with suppress(Refusal):
            server.delete(kind.plural, one["metadata"]["name"], name)
    if not inside:
        server.storage.remove(server.schema.named("namespaces"), namespace)
