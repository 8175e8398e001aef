"""What differs between two versions of models: numbers, data, code, packages, files. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from shipway.explain.files import FileChanges
from shipway.kinds import Evaluate
from shipway.kinds.catalog import ContentChange, MetricChange, ValueChange, VersionDiff

Goal = Literal["maximize", "minimize"]

LARGEST_PATCHED = 256 * 1024  # bytes of a file: beyond that a text diff says nothing to people, and costs minutes

# Components of a fingerprint that are compared in detail elsewhere.
_DETAILED = frozenset({"source", "params", "inputs", "requirements"})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a version: how long, and the digest by which equal content is known."""

    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions: what a comparison needs of it. ``inputs``: name to digest."""

    reference: str
    digest: str
    format: str
    size: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    components: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()
    source: str = ""
    signature: Mapping[str, str] = field(default_factory=dict)  # "takes x" to "FP32 [-1, 4]"
    files: Mapping[str, StoredFile] = field(default_factory=dict)


Contents = Mapping[tuple[str, str], FileChanges]  # what differs between two digests
Patches = Mapping[str, str]  # by "source" or the name of an input


def goals(evaluate: Evaluate | None) -> Mapping[str, Goal]:
    """What a job's gate says of the direction of its metric: only an upper bound means that less is better."""
    if evaluate is None:
        return {}
    only_below = evaluate.max is not None and evaluate.min is None and evaluate.not_worse_than is None
    return {evaluate.metric: "minimize" if only_below else evaluate.goal}


def content_pairs(before: Side, after: Side) -> Mapping[str, tuple[str, str]]:
    """The digests to be looked into, by ``source`` and names of inputs: those that differ."""
    names = sorted({*before.inputs, *after.inputs})
    pairs = {name: (before.inputs.get(name, ""), after.inputs.get(name, "")) for name in names}
    pairs["source"] = before.source, after.source
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def compare(
    before: Side,
    after: Side,
    contents: Contents | None = None,
    patches: Patches | None = None,
    directions: Mapping[str, Goal] | None = None,
) -> VersionDiff:
    """Compare. ``contents``: what differs behind each pair of :func:`content_pairs`; one that is missing is unknown."""
    looked, texts = contents or {}, patches or {}
    changed = {
        name: _content(name, pair, looked.get(pair, FileChanges(known=False)), texts.get(name, ""))
        for name, pair in content_pairs(before, after).items()
    }
    code = changed.pop("source", None)
    return VersionDiff(
        before=before.reference,
        after=after.reference,
        same_files={name: one.digest for name, one in before.files.items()}
        == {name: one.digest for name, one in after.files.items()},
        metrics=tuple(_metrics(before.metrics, after.metrics, directions or {})),
        params=_values(before.params, after.params),
        inputs=tuple(changed.values()),
        code=code,
        requirements=_values(_named(before.requirements), _named(after.requirements)),
        packages=_values(_named(before.lock), _named(after.lock)),
        conditions=_values(_others(before.components), _others(after.components)),
        signature=_values(before.signature, after.signature),
        files=tuple(_files(before.files, after.files)),
        format=_one("format", before.format, after.format),
        size=_one("size", before.size, after.size),
    )


def patch(name: str, before: bytes | None, after: bytes | None) -> str:
    """The unified diff of one file; None where it was not there. Of what is no text, or too long, that it differs."""
    texts = [_lines(one) for one in (before, after)]
    old, new = (f"a/{name}" if before is not None else "/dev/null", f"b/{name}" if after is not None else "/dev/null")
    if texts[0] is None or texts[1] is None:
        return f"{old} and {new} differ: no text, or more than {LARGEST_PATCHED // 1024} kB\n"
    lines = difflib.unified_diff(texts[0], texts[1], old, new, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _lines(content: bytes | None) -> list[str] | None:
    if content is None:
        return []
    if len(content) > LARGEST_PATCHED or b"\0" in content:
        return None
    try:
        return content.decode().splitlines()
    except UnicodeDecodeError:
        return None


def _content(name: str, digests: tuple[str, str], files: FileChanges, text: str) -> ContentChange:
    return ContentChange(name=name, before=digests[0], after=digests[1], patch=text, **asdict(files))


def _metrics(
    before: Mapping[str, float], after: Mapping[str, float], directions: Mapping[str, Goal]
) -> Iterator[MetricChange]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield MetricChange(name=name, before=old, after=new)
            continue
        change, goal = new - old, directions.get(name)
        better = None if goal is None or not change else (change > 0) == (goal == "maximize")
        yield MetricChange(name=name, before=old, after=new, change=change, better=better)


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    names = sorted({*before, *after})
    found = (ValueChange(name=name, before=before.get(name), after=after.get(name)) for name in names)
    return tuple(one for one in found if one.before != one.after)


def _one(name: str, before: Any, after: Any) -> ValueChange | None:
    return ValueChange(name=name, before=before, after=after) if before != after else None


def _files(before: Mapping[str, StoredFile], after: Mapping[str, StoredFile]) -> Iterator[ValueChange]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if (old and old.digest) != (new and new.digest):
            yield ValueChange(name=name, before=old.size if old else None, after=new.size if new else None)


def _named(lines: Iterable[str]) -> Mapping[str, str]:
    """``numpy==2.1`` as numpy to ``==2.1``; of a lock only the version is of interest."""
    found = {}
    for line in lines:
        name = line
        for at, sign in enumerate(line):
            if sign in "=<>!~ @[;":
                name = line[:at]
                break
        found[name] = line[len(name) :].removeprefix("==").strip()
    return found


def _others(components: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in components.items() if name not in _DETAILED}
