"""What ``up`` ends with, and a failure in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shipway.deploy.documents import FRAME, Key, Object
from shipway.deploy.progress import Failure, Progress


@dataclass(frozen=True, slots=True)
class Result:
    """What ``up`` ends with. ``unchanged``: nothing of what was declared was new to the hub."""

    state: Progress
    objects: Mapping[Key, Object]
    wanted: tuple[Key, ...]
    unchanged: bool

    def of(self, kind: str) -> Iterable[Object]:
        """The wanted objects of a kind that still exist."""
        return [self.objects[key] for key in self.wanted if key[0] == kind and key in self.objects]

    @property
    def versioned(self) -> list[Object]:
        """The jobs that stand for a version."""
        return [one for one in self.of("ModelJob") if one.get("status", {}).get("version")]

    @property
    def references(self) -> list[str]:
        """The versions that this project made, imported or serves, each once: ``digits:2``."""
        made = [one["status"]["version"] for one in self.versioned]
        served = [
            f"{model['name']}:{model['version']}"
            for one in self.of("ModelService")
            if (model := one.get("status", {}).get("model"))
        ]
        return list(dict.fromkeys([*made, *served]))


def version_of(objects: Mapping[Key, Object], reference: str) -> Object:
    """The version ``digits:2`` as its Model lists it; an empty mapping when it does not."""
    name, _, number = reference.partition(":")
    versions = objects.get(("Model", name), {}).get("status", {}).get("versions", ())
    return next((one for one in versions if str(one["number"]) == number), {})


def failure_text(failure: Failure) -> str:
    """What failed, the end of its log, where the whole log is, and what goes on."""
    lines = [headline(failure)]
    tail = _log_lines(failure.tail)
    if tail and tail != [failure.message]:  # a one-line log that is the message already
        lines += ["", *(f"    {line}" for line in tail), ""]
    if failure.log:
        lines.append(f"the full log: {failure.log}")
    if failure.serving:
        lines.append(failure.serving)
    return "\n".join(lines)


def _log_lines(tail: str) -> list[str]:
    """Without metric lines: they were shown as numbers. Not splitlines: it would split at their first byte."""
    return [line for line in tail.rstrip().split("\n") if line and not line.startswith(FRAME)]


def headline(failure: Failure) -> str:
    """``ModelJob/digits: OOMKilled: limit 64Mi``; ``Error`` says nothing that the message does not say better."""
    kind, name = failure.subject
    parts = [f"{kind}/{name}", failure.reason if failure.reason != "Error" or not failure.message else ""]
    return ": ".join(part for part in [*parts, failure.message] if part)
