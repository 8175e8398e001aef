"""What put and delete mean, as pure functions: every store that keeps objects itself asks these.

``uid``, ``version`` (the store's next one) and ``now`` are arguments. An :class:`Outcome` says what
the caller gets and which change, if any, is to be written: a medium adds only its I/O.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shipway.errors import Conflict, NotFound
from shipway.kinds import KINDS, Object
from shipway.ports import Change

RETENTION = 10_000  # changes that a store keeps for watch
POLL = 0.05  # seconds between two looks of a waiting watch: another process may have written


@dataclass(frozen=True, slots=True)
class Outcome:
    """``result`` for the caller; ``change`` is None when there is nothing to write."""

    result: Object
    change: Change | None = None


def put(stored: Object | None, obj: Object, *, version: int, uid: str, now: datetime) -> Outcome:
    """Decide a put (see :meth:`shipway.ports.Store.put`). Raises Conflict, NotFound."""
    given = obj.metadata.resource_version
    if stored is None:
        if given:
            raise NotFound(
                f"{obj.kind} {obj.name!r} is gone: version {given} was given and none is stored",
                next_step="Read the objects again; resourceVersion 0 creates it anew.",
            )
        return _created(obj, version=version, uid=uid, now=now)
    current = stored.metadata.resource_version
    if given != current:
        raise Conflict(
            f"{obj.kind} {obj.name!r} exists already, at version {current} (0 was given: create)"
            if given == 0
            else f"{obj.kind} {obj.name!r} changed meanwhile: version {given} was given, {current} is stored",
            next_step="Read it again and repeat your change.",
        )
    return _replaced(stored, obj, version=version)


def delete(stored: Object, *, version: int, now: datetime) -> Outcome:
    """Decide a delete (see :meth:`shipway.ports.Store.delete`)."""
    if not stored.metadata.finalizers:
        return Outcome(_at(stored, version), _change("DELETED", stored, version))
    if stored.metadata.deletion_timestamp is not None:
        return Outcome(stored)
    meta = stored.metadata.model_copy(update={"deletion_timestamp": now, "resource_version": version})
    marked = stored.model_copy(update={"metadata": meta})
    return Outcome(marked, _change("MODIFIED", marked, version))


def text(obj: Object) -> str:
    """An object as JSON in one line, as it is kept and sent.

    A lone surrogate (a log's tail with bytes that are not UTF-8) becomes "?": it would pass json.dumps and never be
    readable again, and every later list would fail.
    """
    return json.dumps(obj.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def check_kind(kind: str) -> type[Object]:
    """The class of a kind. Raises NotFound that lists the kinds."""
    if kind not in KINDS:
        raise NotFound(f"there is no kind {kind!r}; the kinds are {', '.join(KINDS)}")
    return KINDS[kind]


def no_such(kind: str, name: str) -> NotFound:
    """The error for an object that is not there."""
    return NotFound(f"there is no {kind} {name!r}")


def check_since(since: int, *, oldest: int, newest: int) -> None:
    """Whether a watch may start at ``since`` when the changes ``oldest..newest`` are kept.

    Raises NotFound for a version that is no longer kept, and for one that this store never had.
    """
    if not oldest - 1 <= since <= newest:
        raise NotFound(
            f"changes since version {since} are not kept; kept are those since {max(oldest - 1, 0)} up to {newest}",
            next_step="List again and watch from the version that the list gives.",
        )


def follow(
    read: Callable[[int], tuple[Sequence[Change], int]],
    since: int,
    *,
    wait: float,
    pause: Callable[[float], object],
    monotonic: Callable[[], float],
) -> Iterator[Change]:
    """The loop of a watch: ``read(since)`` gives a batch of changes and the version that it reaches.

    Ends when ``wait`` seconds passed without a change; ``pause(seconds)`` returns early on a write.
    """
    deadline = monotonic() + wait
    while True:
        changes, reached = read(since)
        yield from changes
        if reached > since:
            since = reached
            deadline = monotonic() + wait if changes else deadline
            continue
        remaining = deadline - monotonic()
        if remaining <= 0:
            return
        pause(min(remaining, POLL))


def _created(obj: Object, *, version: int, uid: str, now: datetime) -> Outcome:
    meta = obj.metadata.model_copy(
        update={
            "uid": uid,
            "generation": 1,
            "resource_version": version,
            "creation_timestamp": now,
            "deletion_timestamp": None,
        }
    )
    created = obj.model_copy(update={"metadata": meta})
    return Outcome(created, _change("ADDED", created, version))


def _replaced(stored: Object, obj: Object, *, version: int) -> Outcome:
    old = stored.metadata
    kept = obj.metadata.model_copy(
        update={
            "uid": old.uid,
            "generation": old.generation,
            "creation_timestamp": old.creation_timestamp,
            "deletion_timestamp": old.deletion_timestamp,
        }
    )
    replaced = obj.model_copy(update={"metadata": kept})
    if old.deletion_timestamp is not None and not kept.finalizers:
        return Outcome(_at(replaced, version), _change("DELETED", stored, version))
    before, after = stored.to_json(), replaced.to_json()
    if _canonical(before) == _canonical(after):
        return Outcome(stored)
    respecified = _canonical(before["spec"]) != _canonical(after["spec"])
    meta = kept.model_copy(update={"generation": old.generation + respecified, "resource_version": version})
    written = obj.model_copy(update={"metadata": meta})
    return Outcome(written, _change("MODIFIED", written, version))


def _change(type_: Literal["ADDED", "MODIFIED", "DELETED"], obj: Object, version: int) -> Change:
    return Change(type_, obj, version, text(obj))


def _at(obj: Object, version: int) -> Object:
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"resource_version": version})})


def _canonical(document: object) -> str:
    # As text, because NaN (a metric of a diverged run) is not equal to itself: every pass of a
    # controller would write the same status again.
    return json.dumps(document, sort_keys=True)
