"""Texts to manifests: one for every object, those inside of a List included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.errors import FieldError, InvalidObject
from shipway.importing.block import Block
from shipway.kinds.document import Document, Path, documents, dotted

_SHIPWAY = "shipway.dev/"
_MOST = 200_000  # values of a document: `kubectl get -o yaml` writes one List with 200 for each object


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as written. ``root`` is where it stands in its document: ``items[3]`` of a List."""

    kind: str
    name: str
    namespace: str
    block: Block
    file: str = ""

    @property
    def key(self) -> str:
        """``Deployment/web``, as kubectl says it."""
        return f"{self.kind}/{self.name}"

    def shown(self, path: Path) -> str:
        """A path of the document as one of the object."""
        return dotted(path[len(self.block.path) :])

    @property
    def labels(self) -> Mapping[str, Any]:
        return _mapping(_mapping(self.block.peek("metadata")).get("labels"))


def read(text: str, file: str = "") -> list[Manifest]:
    """The objects of a YAML (or JSON) text. Raises InvalidObject: not YAML, no objects, or one of Shipway's."""
    found = [one for document in documents(text, file, _MOST) for one in _opened(document, document.value, ())]
    if not found:
        raise InvalidObject([FieldError("", "holds no object: it is empty", file)])
    return found


def named(manifests: Iterable[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name; the first of several with one name."""
    found: dict[str, Manifest] = {}
    for one in manifests:
        if one.kind == kind:
            found.setdefault(one.name, one)
    return found


def matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether all of a selector's labels are there; an empty selector, of a Service, selects nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


def _opened(document: Document, value: Any, path: Path) -> Iterator[Manifest]:
    if not isinstance(value, dict):
        raise InvalidObject([document.error(path, "must be a Kubernetes object: apiVersion, kind, metadata, spec")])
    version, kind = value.get("apiVersion"), value.get("kind")
    for field, given in (("apiVersion", version), ("kind", kind)):
        if not isinstance(given, str) or not given:
            raise InvalidObject([document.error((*path, field), "is missing: this is no Kubernetes object")])
    assert isinstance(version, str)
    assert isinstance(kind, str)
    if version.startswith(_SHIPWAY):
        problem = document.error((*path, "apiVersion"), f"{version} {kind} is one of Shipway's kinds already")
        raise InvalidObject([problem], next_step="Deploy it: shipway up FILE.")
    if kind.endswith("List") and isinstance(value.get("items"), list):
        for index, one in enumerate(value["items"]):
            yield from _opened(document, one, (*path, "items", index))
        return
    block = Block(value, document, path)
    metadata = block.block("metadata")
    name = metadata.text("name") or metadata.text("generateName").rstrip("-.")
    if not name:
        raise InvalidObject([document.error((*path, "metadata", "name"), "is missing")])
    yield Manifest(kind, name, metadata.text("namespace"), block, document.file)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
