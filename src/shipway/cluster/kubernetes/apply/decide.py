"""What has to be written, and in which order. Pure.

An object needs no write when two things hold of the live one: its annotation has the digest of what we would send
(so our last apply sent the same), and the API server's managedFields still count every field of it as ours (so nobody
has changed one since: who updates a field takes it away from us). Values are not compared: a quantity that was made
canonical, a default, or what a mutating webhook made of our field would look like a difference for ever.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ (managedFields, FieldsV1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipway.cluster.kubernetes.names import APPLIED, FIELD_MANAGER, OWNER, WORKLOAD, Manifest

# What others stand on comes first; an autoscaler or a route without its workload would only complain.
_WAVES: tuple[frozenset[str], ...] = (
    frozenset({"ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy"}),
    frozenset({"Service"}),
    frozenset({"Deployment", "StatefulSet", "Job", "CronJob", "PodDisruptionBudget"}),
)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which object: ``Key("apps", "Deployment", "ml", "digits")``."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def key_of(manifest: Manifest) -> Key:
    """The key of an object as it is sent or read."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    metadata = manifest["metadata"]
    return Key(group if version else "", manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def waves(manifests: Iterable[Manifest]) -> tuple[tuple[Manifest, ...], ...]:
    """Those that may be written side by side, first wave first; each in the order given."""
    found: list[list[Manifest]] = [[] for _ in range(len(_WAVES) + 1)]
    for one in manifests:
        found[_wave(one["kind"])].append(one)
    return tuple(tuple(wave) for wave in found if wave)


def _wave(kind: str) -> int:
    return next((number for number, kinds in enumerate(_WAVES) if kind in kinds), len(_WAVES))


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with the digest of itself as an annotation: what is sent."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def digest(manifest: Manifest) -> str:
    """Of what is sent: the same for the same JSON in any order of keys. 16 hex digits: it tells changes apart, and
    keeps nobody out."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unchanged(sent: Manifest, live: Manifest) -> bool:
    """Whether the live object is what applying ``sent`` (stamped) would make of it."""
    ours = our_fields(live)
    annotations = live["metadata"].get("annotations") or {}
    if ours is None or annotations.get(APPLIED) != sent["metadata"]["annotations"][APPLIED]:
        return False
    return not lost(sent, live)


def lost(sent: Manifest, live: Manifest) -> tuple[str, ...]:
    """Fields of ``sent`` that are not ours any more in the live object, as paths: ``.spec.replicas``."""
    return tuple(_missing(_declared(sent), our_fields(live) or {}, ""))


def our_fields(live: Manifest) -> Mapping[str, Any] | None:
    """What we hold of it by server-side apply, as FieldsV1; None when we never applied it."""
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return fields
    return None


def _declared(sent: Manifest) -> dict[str, Any]:
    """Without what managedFields never hold: they say which object it is."""
    metadata = {key: value for key, value in sent["metadata"].items() if key not in ("name", "namespace")}
    rest = {key: value for key, value in sent.items() if key not in ("apiVersion", "kind", "metadata")}
    return {"metadata": metadata, **rest}


def _missing(value: Any, fields: Mapping[str, Any], path: str) -> Iterable[str]:
    """``fields`` is a node of FieldsV1: empty where the whole value is one field (a scalar, an atomic list or map)."""
    if not fields and path:
        return
    if isinstance(value, Mapping):
        for key, child in value.items():
            below = f"{path}.{key}"
            owned = fields.get(f"f:{key}")
            if owned is None:
                yield below
            else:
                yield from _missing(child, owned, below)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from _missing_items(value, fields, path)


def _missing_items(items: Sequence[Any], fields: Mapping[str, Any], path: str) -> Iterable[str]:
    """Items of a list with keys (``k:{"name":"main"}``) or of a set (``v:"x"``)."""
    known = [(json.loads(name[2:]), node) for name, node in fields.items() if name[:2] in ("k:", "v:")]
    for item in items:
        owned = next((node for sign, node in known if _is(item, sign)), None)
        below = f"{path}[{_name(item)}]"
        if owned is None:
            yield below
        else:
            yield from _missing(item, owned, below)


def _is(item: Any, sign: Any) -> bool:
    if isinstance(item, Mapping) and isinstance(sign, Mapping):
        # A key that was not sent got a default: protocol TCP of a port.
        return all(item.get(key, value) == value for key, value in sign.items())
    return bool(item == sign)


def _name(item: Any) -> str:
    if isinstance(item, Mapping):
        return str(next((item[key] for key in ("name", "key", "containerPort", "port", "ip") if key in item), "?"))
    return str(item)


def owner_of(live: Manifest) -> str:
    """The hub that made it: empty where none did."""
    return str((live["metadata"].get("labels") or {}).get(OWNER, ""))


def workload_of(manifest: Manifest) -> str:
    """The workload that it is a part of."""
    return str((manifest["metadata"].get("labels") or {}).get(WORKLOAD, ""))
