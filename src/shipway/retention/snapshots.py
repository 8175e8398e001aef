"""Which snapshots of sources and inputs may be forgotten. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

_Digest = TypeVar("_Digest", bound=str)

# Between "it is there already" and the object that names it lies a command; between two commands a person.
GRACE = timedelta(hours=1)

UNUSED = "no object and no version that is kept names it"
YOUNG = "somebody sent it or asked for it within the last hour"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a snapshot may go, and why it may or may not."""

    goes: bool
    reason: str


def collectable(
    asked: Mapping[_Digest, datetime], named_by: Mapping[str, str], kept: Collection[str], now: datetime
) -> dict[_Digest, Verdict]:
    """A verdict for each snapshot.

    ``asked``: digest of each to the time when somebody last sent it or asked for it. ``named_by``: digests that stand
    in an object of the store (its spec or its status), to that object. ``kept``: digests that versions and data sets
    that are kept name in their lineage.
    """
    return {digest: _verdict(digest, at, named_by, kept, now) for digest, at in asked.items()}


def _verdict(
    digest: str, asked: datetime, named_by: Mapping[str, str], kept: Collection[str], now: datetime
) -> Verdict:
    if digest in named_by:
        return Verdict(False, f"{named_by[digest]} names it")
    if digest in kept:
        return Verdict(False, "a version that is kept was made of it")
    if now - asked < GRACE:  # a time in the future was written before the clock went back: it counts as now
        return Verdict(False, YOUNG)
    return Verdict(True, UNUSED)
