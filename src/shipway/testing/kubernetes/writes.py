"""How objects come into the storage, change and go: what an API server does between a request and etcd."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from shipway.testing.kubernetes import admission, allocation, answers, managers
from shipway.testing.kubernetes.defaults import fill
from shipway.testing.kubernetes.managers import Manager, Owned
from shipway.testing.kubernetes.schema import Kind, Schema
from shipway.testing.kubernetes.storage import Object, Storage, clone

# Their generation counts the changes of their spec; others have none.
COUNTED = frozenset(
    {
        "cronjobs",
        "daemonsets",
        "deployments",
        "gateways",
        "httproutes",
        "ingresses",
        "jobs",
        "networkpolicies",
        "poddisruptionbudgets",
        "pods",
        "replicasets",
        "statefulsets",
    }
)
# What admission adds to their metadata makes the first apply of the same a write once more, of a new version.
RESTLESS = ("jobs", "persistentvolumeclaims")
_KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "namespace",
    "name",
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a write is of, and how it is meant."""

    kind: Kind
    namespace: str
    name: str
    manager: str = "unknown"
    subresource: str = ""
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)


class Writes:
    """Every write goes through here, the ones of the kubelet and of the controllers that a test plays too."""

    def __init__(self, schema: Schema, storage: Storage, now: Callable[[], datetime]) -> None:
        self._schema = schema
        self._storage = storage
        self._now = now
        self._restless: set[str] = set()

    def create(self, target: Target, body: Object) -> Object:
        """A new object. Raises Refusal."""
        obj = self._decoded(target, body)
        metadata = obj["metadata"]
        if "generateName" in metadata and not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        target = replace(target, name=metadata.get("name", ""))
        self._in_namespace(target)
        if self._storage.get(target.kind, target.namespace, target.name) is not None:
            raise answers.exists(target.kind, target.name)
        if "status" in target.kind.subresources:
            obj.pop("status", None)
        return self._finish(target, obj, None, self._by(target, "Update"))

    def update(self, target: Target, body: Object) -> Object:
        """A whole object in the place of another. Raises Refusal."""
        live = self.live(target)
        obj = self._decoded(target, body)
        sent = obj["metadata"]
        if sent.get("uid") not in (None, "", live["metadata"]["uid"]):
            wanted, actual = sent["uid"], live["metadata"]["uid"]
            why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
            raise answers.conflict(target.kind, target.name, why)
        if sent.get("resourceVersion") not in (None, "", live["metadata"]["resourceVersion"]):
            raise answers.changed(target.kind, target.name)
        return self._finish(target, obj, live, self._by(target, "Update"))

    def apply(self, target: Target, body: Object) -> tuple[Object, bool]:
        """Server-side apply; the object, and whether it is new. Raises Refusal."""
        kind = target.kind
        live = self._storage.get(kind, target.namespace, target.name)
        config = clone(body)
        metadata = config.setdefault("metadata", {})
        _same_name(target, metadata.setdefault("name", target.name))
        if metadata.get("managedFields"):
            raise answers.bad_request("metadata.managedFields must be nil")
        if (config.get("apiVersion"), config.get("kind")) != (kind.api_version, kind.kind):
            raise answers.bad_request(f"invalid object type: {config.get('apiVersion')}, Kind={config.get('kind')}")
        if unknown := self._schema.prune(kind.type, clone(config)):
            told = f"({metadata.get('namespace', '')}/{target.name}; {kind.api_version}, Kind={kind.kind})"
            raise answers.broken(
                500, f"failed to create typed patch object {told}: .{unknown[0]}: field not declared in schema"
            )
        if target.subresource == "status":
            config.pop("spec", None)
        elif "status" in kind.subresources:
            config.pop("status", None)
        if live is None:
            self._in_namespace(target)
        elif (
            metadata.pop("resourceVersion", live["metadata"]["resourceVersion"]) != live["metadata"]["resourceVersion"]
        ):
            raise answers.changed(kind, target.name)
        by = self._by(target, "Apply")
        merged = managers.applied(self._schema, kind, live or {}, config, by, force=target.force)
        if merged.conflicts:
            raise answers.apply_conflict([(path, other.in_words()) for path, other in merged.conflicts])
        obj = self._finish(target, clone(merged.object), live, by, merged.owned)
        if live is None and kind.plural in RESTLESS:
            self._restless.add(obj["metadata"]["uid"])
        elif obj is live and not target.dry_run and obj["metadata"]["uid"] in self._restless:
            self._restless.remove(obj["metadata"]["uid"])
            obj = self._storage.put(kind, clone(obj))
        return obj, live is None

    def change(self, target: Target, how: Callable[[Object], Object | None]) -> Object:
        """A patch: ``how`` makes the new object of a copy (in place when it returns None). Raises Refusal."""
        live = self.live(target)
        copy = clone(live)
        obj = self._decoded(target, how(copy) or copy)
        if obj["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise answers.changed(target.kind, target.name)
        return self._finish(target, obj, live, self._by(target, "Update"))

    def delete(self, target: Target, options: Mapping[str, Any]) -> tuple[Object, bool]:
        """Remove it, or mark it while finalizers or a Pod's grace are left; the object, and whether it is gone."""
        live = self.live(target)
        kind = target.kind
        self._preconditions(target, live, options.get("preconditions") or {})
        finalizers = list(live["metadata"].get("finalizers", ()))
        policy = options.get("propagationPolicy")
        finalizers += {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"]}.get(str(policy), [])
        grace = options.get("gracePeriodSeconds")
        if kind.plural == "pods":
            grace = live["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
            grace = grace if live["spec"].get("nodeName") and not _ended(live) else 0
        lives_on = bool(finalizers) or bool(grace and kind.plural == "pods") or kind.plural == "namespaces"
        if target.dry_run:
            return live, not lives_on
        if not lives_on:
            gone = self._storage.remove(kind, live)
            if kind.plural == "pods":
                gone["metadata"] |= {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": 0}
                gone["metadata"]["generation"] += 1
            return gone, True
        obj = clone(live)
        metadata = obj["metadata"]
        if finalizers:
            metadata["finalizers"] = list(dict.fromkeys(finalizers))
        if "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self.now()
            if "generation" in metadata:
                metadata["generation"] += 1
        metadata["deletionGracePeriodSeconds"] = grace or 0
        if kind.plural == "namespaces":
            obj["status"] = {"phase": "Terminating"}
        return (live if obj == live else self._storage.put(kind, obj)), False

    def live(self, target: Target) -> Object:
        """The object as it is. Raises Refusal."""
        live = self._storage.get(target.kind, target.namespace, target.name)
        if live is None:
            raise answers.not_found(target.kind, target.name)
        return live

    def now(self) -> str:
        """As metadata.creationTimestamp says it."""
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _by(self, target: Target, operation: str) -> Manager:
        return Manager(target.manager, operation, target.kind.api_version, target.subresource)

    def _decoded(self, target: Target, body: Object) -> Object:
        obj: Object = clone(body)
        kind = target.kind
        said = obj.setdefault("apiVersion", kind.api_version), obj.setdefault("kind", kind.kind)
        if said != (kind.api_version, kind.kind):
            raise answers.bad_request(self._other_kind(kind, *said))
        metadata = obj.setdefault("metadata", {})
        if metadata.get("namespace", target.namespace) != target.namespace:
            raise answers.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if target.name:
            _same_name(target, metadata.setdefault("name", target.name))
        admission.decode(self._schema, kind, obj)
        unknown = self._schema.prune(kind.type, obj)
        if unknown and target.validation == "Strict":
            told = ", ".join(f'unknown field "{one}"' for one in unknown)
            start = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
            raise answers.bad_request(f"{start}: strict decoding error: {told}")
        if target.validation == "Warn":
            target.warnings.extend(f'unknown field "{one}"' for one in unknown)
        return obj

    def _other_kind(self, kind: Kind, api_version: str, said: str) -> str:
        version = api_version.rpartition("/")[2]
        try:
            self._schema.find(api_version, said)
        except KeyError:
            why = f'no kind "{said}" is registered for version "{api_version}"'
        else:
            room = kind.group.partition(".")[0] or "core"
            why = f"converting ({version}.{said}) to ({room}.{kind.kind}): unknown conversion"
        return f'{said} in version "{version}" cannot be handled as a {kind.kind}: {why}'

    def _in_namespace(self, target: Target) -> None:
        if not target.kind.namespaced:
            return
        namespaces = self._schema.named("namespaces")
        found = self._storage.get(namespaces, "", target.namespace)
        if found is None:
            raise answers.not_found(namespaces, target.namespace)
        if found["status"]["phase"] == "Terminating":
            why = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            raise answers.forbidden(target.kind, target.name, why)

    def _finish(
        self, target: Target, obj: Object, live: Object | None, by: Manager, owned: Owned | None = None
    ) -> Object:
        kind, sub = target.kind, target.subresource
        if live is not None:
            obj = _only(obj, live, sub, has_status="status" in kind.subresources)
        self._system_fields(target, obj, live)
        fill(self._schema, kind.type, obj)
        self._schema.drop_gated(kind.type, obj)
        allocation.allocate(kind, obj, live, self._storage.version)
        if not sub:
            admission.validate(self._schema, kind, obj, live)
        if live is None:
            self._admit(target, obj)
        elif kind.plural in COUNTED and _meant(obj) != _meant(live):
            obj["metadata"]["generation"] = live["metadata"].get("generation", 0) + 1
        if owned is None:
            owned = managers.updated(self._schema, kind, live, obj, by)
        managers.write(obj, owned, live, self.now())
        if live is not None and obj == live:
            return live
        if target.dry_run:
            return obj
        if (
            "deletionTimestamp" in obj["metadata"]
            and not obj["metadata"].get("finalizers")
            and kind.plural not in ("pods", "namespaces")
        ):
            self._storage.remove(kind, obj)
            return obj
        return self._storage.put(kind, obj)

    def _system_fields(self, target: Target, obj: Object, live: Object | None) -> None:
        metadata = obj["metadata"]
        if live is not None:
            for name in _KEPT:
                metadata.pop(name, None)
                if name in live["metadata"]:
                    metadata[name] = live["metadata"][name]
            metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
            return
        metadata.pop("resourceVersion", None)
        if target.kind.namespaced:
            metadata["namespace"] = target.namespace
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now()
        if target.kind.plural in COUNTED:
            metadata["generation"] = 1

    def _admit(self, target: Target, obj: Object) -> None:
        if target.kind.namespaced:
            namespace = self._storage.get(self._schema.named("namespaces"), "", target.namespace)
            assert namespace is not None
            quotas = self._storage.items(self._schema.named("resourcequotas"), target.namespace)
            target.warnings.extend(admission.admit(target.kind, obj, namespace, quotas))

    @staticmethod
    def _preconditions(target: Target, live: Object, wanted: Mapping[str, str]) -> None:
        for name in ("uid", "resourceVersion"):
            actual = live["metadata"][name]
            if wanted.get(name, actual) != actual:
                raise answers.precondition(target.kind, target.name, name, wanted[name], actual)


def _only(obj: Object, live: Object, subresource: str, *, has_status: bool) -> Object:
    """What a request of that subresource may change, and the rest as it is."""
    if subresource == "status":
        kept: Object = clone(live)
        kept["status"] = obj.get("status", {})
        return kept
    if has_status:
        obj.pop("status", None)
        if "status" in live:
            obj["status"] = clone(live["status"])
    return obj


def _same_name(target: Target, name: str) -> None:
    if name != target.name:
        told = f"the name of the object ({name}) does not match the name on the URL ({target.name})"
        raise answers.bad_request(told)


def _meant(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name not in ("metadata", "status")}


def _ended(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
