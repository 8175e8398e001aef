"""Kubeconfig files: found, read, merged, and one context of them.

Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shipway.errors import EnvironmentFault, NotFound, UserError

_LARGEST = 4 << 20  # bytes of a file; those with a hundred clusters have some 500 KB


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster or a user of a kubeconfig, and the file that it stands in: paths are relative to that file."""

    kind: str  # "cluster", "user"
    name: str
    file: Path
    content: Mapping[str, Any] = field(repr=False)

    def text(self, key: str) -> str:
        """A field that must be text; empty when it is not there. Raises UserError."""
        value = self.content.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise UserError(f"{self}: {key} must be text, and is {type(value).__name__}", next_step=_ANEW)
        return value

    def path(self, key: str) -> Path | None:
        return self.file.parent / self.text(key) if self.text(key) else None

    def data(self, key: str) -> bytes:
        """A base64 field; empty when it is not there. Raises UserError."""
        try:
            return base64.b64decode("".join(self.text(key).split()), validate=True)
        except (binascii.Error, ValueError):
            raise UserError(f"{self}: {key} is not base64", next_step=_ANEW) from None

    def __str__(self) -> str:
        return f'{self.kind} "{self.name}" of the kubeconfig {self.file}'


_ANEW = "Correct it there, or get the kubeconfig anew."


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a context joins."""

    context: str
    namespace: str
    cluster: Entry
    user: Entry | None


def files(kubeconfig: str, inherited: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that count, as for kubectl: the one that was named, else those of $KUBECONFIG that exist, else
    ~/.kube/config; none is left when there is none. Raises NotFound when named ones are missing."""
    if kubeconfig:
        path = Path(kubeconfig).expanduser()
        if not path.is_file():
            raise NotFound(f"There is no kubeconfig {path}.", next_step="Name another one, or leave it out.")
        return (path,)
    named = [Path(part).expanduser() for part in inherited.get("KUBECONFIG", "").split(":") if part]
    if named:
        found = tuple(path for path in named if path.is_file())
        if not found:
            raise NotFound(
                f"$KUBECONFIG names {', '.join(map(str, named))}, and there is no such file.",
                next_step="Set it to a kubeconfig, or unset it to use ~/.kube/config.",
            )
        return found
    home = Path(inherited["HOME"]) / ".kube/config" if inherited.get("HOME") else None
    return (home,) if home and home.is_file() else ()


def load(path: Path) -> dict[str, Any]:
    """Raises UserError with file and line for what is not YAML, EnvironmentFault for what cannot be read."""
    try:
        text = path.read_bytes()[: _LARGEST + 1]
    except OSError as error:
        raise EnvironmentFault(
            f"The kubeconfig {path} cannot be read: {error.strerror}", next_step=f"ls -l {path} says whose it is."
        ) from None
    if len(text) > _LARGEST:
        raise UserError(f"{path} is larger than 4 MiB: it is no kubeconfig.", next_step="Name another file.")
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        # Not the parser's own text: it quotes the line, and the line may hold a token.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "bytes that no text has"
        raise UserError(f"{path}{line} is not YAML: {problem}", next_step="Correct that line.") from None
    if not isinstance(document, dict):
        raise UserError(f"{path} is no kubeconfig: it is not a mapping with clusters, contexts and users.")
    return document


def choose(paths: tuple[Path, ...], context: str) -> Chosen:
    """A context (empty: the current one) of several files, of which the first to name a thing wins. Raises NotFound
    with the contexts that there are, UserError for a context that is not whole."""
    documents = [(path, load(path)) for path in paths]
    where = ", ".join(map(str, paths))
    contexts = _entries(documents, "context")
    known = f"There are: {', '.join(sorted(contexts))}." if contexts else "It has no contexts at all."
    current = next((str(one["current-context"]) for _, one in documents if one.get("current-context")), "")
    if not (name := context or current):
        raise UserError(f"The kubeconfig {where} has no current context.", next_step=f"Name one. {known}")
    if not (found := contexts.get(name)):
        raise NotFound(f'There is no context "{name}" in the kubeconfig {where}.', next_step=known)
    clusters, users = _entries(documents, "cluster"), _entries(documents, "user")
    if not (cluster := clusters.get(found.text("cluster"))):
        raise UserError(
            f'The context "{name}" of {found.file} names a cluster "{found.text("cluster")}" that is not there.',
            next_step=_ANEW,
        )
    if (user := found.text("user")) and user not in users:
        raise UserError(
            f'The context "{name}" of {found.file} names a user "{user}" that is not there.', next_step=_ANEW
        )
    return Chosen(name, found.text("namespace") or "default", cluster, users.get(user))


def change_user(entry: Entry, change: Callable[[dict[str, Any]], None]) -> str:
    """The text of the entry's file with that user changed, as kubectl writes it."""
    document = load(entry.file)
    for one in document.get("users") or ():
        if one.get("name") == entry.name:
            change(one["user"])
    return yaml.safe_dump(document, sort_keys=False)


def _entries(documents: list[tuple[Path, dict[str, Any]]], kind: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for path, document in documents:
        listed = document.get(f"{kind}s")
        listed = [] if listed is None else listed
        if not isinstance(listed, list):
            raise UserError(f"{path}: {kind}s must be a list", next_step=_ANEW)
        for one in listed:
            if not isinstance(one, dict) or not isinstance(one.get(kind) or {}, dict):
                raise UserError(f"{path}: each of {kind}s must be a mapping with name and {kind}", next_step=_ANEW)
            name = str(one.get("name", ""))
            found.setdefault(name, Entry(kind, name, path, one.get(kind) or {}))
    return found
