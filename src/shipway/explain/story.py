"""``story(subject, entries, objects, now) -> Story``: what happened, what holds, and what to do next. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from shipway.explain.sentences import Files, failures, ran, restarts, sentence, told
from shipway.explain.words import ADVICE
from shipway.kinds import Condition, ModelJob, ModelService, Object, Revision, split_reference
from shipway.ports import Entry

_FOLDED = 3  # as many lines of a kind in a row become one

_NOUNS = {
    "ModelJob": "job",
    "Model": "model",
    "ModelService": "service",
    "Revision": "revision",
    "Route": "route",
    "Cluster": "cluster",
}
_RESTART = {"revision", "replica", "restarts"}  # the data that lines of a kind must have to be folded
_ATTEMPT = {"run", "attempt"}
_STARTS = frozenset({"CacheMiss", "CacheOff", "Retrain"})


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence. Several happenings may be folded into it: ``count`` of them from ``since`` to ``at``."""

    at: datetime
    subject: str
    type: str
    reason: str
    text: str
    since: datetime | None = None
    count: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)  # of the last one


@dataclass(frozen=True, slots=True)
class Holds:
    """A condition that holds now: ``type`` stands at ``status`` since then."""

    subject: str
    type: str
    status: str
    reason: str
    text: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a user can do about it, or what will happen by itself ``at`` that time."""

    text: str
    command: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """``exists``: the object is there; of one that was deleted only the lines are left."""

    subject: str
    exists: bool
    lines: tuple[Line, ...] = ()
    now: tuple[Holds, ...] = ()
    next: tuple[NextStep, ...] = ()


def story(
    subject: str, entries: Sequence[Entry], objects: Sequence[Object], now: datetime, files: Files | None = None
) -> Story:
    """Tell it. ``entries``: oldest first; ``objects``: the subject's own first (none when it was deleted), then those
    that it depends on; ``files``: what changed between the snapshots of :func:`snapshot_pairs`."""
    own = [one for one in objects if f"{one.kind}/{one.name}" == subject]
    holding = [held for one in objects for held in _holding(one, mine=one in own)]
    return Story(
        subject=subject,
        exists=bool(own),
        lines=tuple(_lines(entries, files or {})),
        now=tuple(holding),
        next=tuple(step for one in own for step in _next(one, [held.reason for held in holding], now)),
    )


# -- what happened


def _lines(entries: Sequence[Entry], files: Files) -> Iterable[Line]:
    started = {one.data["run"]: one for one in entries if one.reason in _STARTS and "run" in one.data}
    finished = {one.data["run"] for one in entries if one.reason == "Finished" and "run" in one.data}
    kept = [one for one in entries if not _implied(one, finished)]
    for _, group in groupby(kept, key=lambda one: _alike(one, files)):
        together = list(group)
        if len(together) >= _FOLDED:
            yield _folded(together, files)
        else:
            yield from (_line(one, started, files) for one in together)


def _implied(entry: Entry, finished: Container[str]) -> bool:
    """Told by another line: the start of a run by its good end, a further attempt by the end of the one before."""
    if entry.reason in _STARTS:
        return entry.data.get("run", "") in finished
    return entry.reason == "Retry" and entry.subject.startswith("ModelJob/")


def _alike(entry: Entry, files: Files) -> tuple[str, ...]:
    """Lines that follow each other and have the same key are folded."""
    data = entry.data
    match entry.reason:
        case "ReplicaRestarted" if data.keys() >= _RESTART:
            return (entry.reason, entry.subject, data["revision"])
        case "GatewayRestarted" if "restarts" in data:
            return (entry.reason,)
        case "BackOff" if data.keys() >= _ATTEMPT:
            return (entry.reason, data["run"])
    return (entry.subject, entry.reason, sentence(entry, files))


def _line(entry: Entry, started: Mapping[str, Entry], files: Files) -> Line:
    start = started.get(entry.data.get("run", "")) if entry.reason == "Finished" else None
    if start is not None:
        text, data = ran(start, entry, files), {**start.data, **entry.data}
        return Line(entry.at, entry.subject, entry.type, start.reason, text, since=start.at, data=data)
    return Line(entry.at, entry.subject, entry.type, entry.reason, sentence(entry, files), data=entry.data)


def _folded(together: Sequence[Entry], files: Files) -> Line:
    first, last, count = together[0], together[-1], len(together)
    match last.reason:
        case "ReplicaRestarted" | "GatewayRestarted" if "restarts" in last.data:
            count = _restarts(together)
            text = restarts(count, last)
        case "BackOff" if last.data.keys() >= _ATTEMPT:
            text = failures(count, last)
        case _:
            text = f"{sentence(last, files)} ({count} times)"
    return Line(last.at, last.subject, last.type, last.reason, text, since=first.at, count=count, data=last.data)


def _restarts(together: Sequence[Entry]) -> int:
    """How often in all: a line counts also those that happened while no hub looked."""
    total = 0
    last: dict[tuple[Any, Any], int] = {}
    for one in together:
        which = (one.data.get("replica"), one.data.get("since"))
        number = int(one.data["restarts"])
        total += number - last.get(which, number - 1)
        last[which] = number
    return total


# -- what holds, and what to do


def _holding(obj: Object, *, mine: bool) -> Iterable[Holds]:
    for one in obj.status.conditions:
        # Of what it depends on only the trouble counts.
        if mine or one.status != "True":
            yield _held(obj, one)


def _held(obj: Object, one: Condition) -> Holds:
    stale = "" if one.observed_generation >= obj.metadata.generation else " (of the spec before)"
    return Holds(
        subject=f"{obj.kind}/{obj.name}",
        type=one.type,
        status=one.status,
        reason=one.reason,
        text=told(one.reason, one.message) + stale,
        since=one.last_transition_time,
    )


def _next(obj: Object, reasons: Sequence[str], now: datetime) -> Iterable[NextStep]:
    run = obj.status.run if isinstance(obj, ModelJob) else None
    if isinstance(obj, ModelJob) and run is not None and run.retry_at is not None and run.retry_at > now:
        yield NextStep(f"attempt {run.attempt + 1} of {obj.attempts} starts by itself", at=run.retry_at)
    facts = {"name": obj.name, "noun": _NOUNS[obj.kind], "model": _model_of(obj)}
    for reason in dict.fromkeys(reasons):
        if reason in ADVICE:
            words, command = ADVICE[reason]
            yield NextStep(words, command.format(**facts))
    yield from _told_with(obj)


def _told_with(obj: Object) -> Iterable[NextStep]:
    """What the message of a refusal says below its first line; and of what is under way, that it is."""
    trouble = [one for one in obj.status.conditions if one.status != "True" and one.reason not in ADVICE]
    for words in dict.fromkeys(line for one in trouble for line in one.message.splitlines()[1:] if line):
        yield NextStep(words)
    if any(one.status == "Unknown" for one in trouble):
        yield NextStep("it is under way: wait, or mend what its message names")


def _model_of(obj: Object) -> str:
    if isinstance(obj, Revision):
        return obj.spec.model.name if obj.spec.model is not None else ""
    if isinstance(obj, ModelJob | ModelService):
        return split_reference(obj.spec.model)[0] if obj.spec.model else ""
    return obj.name
