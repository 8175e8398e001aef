"""What is kept of what has ended, and for how long: ``surplus(ended, keep, now) -> names``.

Rule 1: every number has an upper bound that time alone cannot move: a thousand runs in an hour must not fill the disk.
Rule 2: what a status refers to stays, whatever its age.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Keep:
    """The ``newest`` are kept whatever their age; others while they are younger than ``days``, ``most`` in all."""

    newest: int
    days: float
    most: int

    def in_words(self, what: str) -> str:
        """For the journal."""
        return f"kept are the newest {self.newest} {what} and those younger than {self.days:g} days, {self.most} in all"


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a home remembers. docs/retention.md has these numbers."""

    journal_days: float = 30.0
    journal_rows: int = 100_000  # the ledger is not counted and stays for ever
    runs: Keep = Keep(newest=10, days=7.0, most=20)  # of each job: folders with output and logs
    revisions: Keep = Keep(newest=10, days=1.0, most=100)  # of each service: retired and failed ones
    environments_days: float = 30.0  # since a workload was last started with it
    every: float = 3600.0  # seconds between two looks at the journal and at the environments

    def journal_before(self, now: datetime) -> datetime:
        """What the journal holds of earlier times may go."""
        return now - timedelta(days=self.journal_days)


@dataclass(frozen=True, slots=True)
class Ended:
    """Something that has ended, and when."""

    name: str
    at: datetime


def surplus(ended: Sequence[Ended], keep: Keep, now: datetime, needed: Container[str] = ()) -> tuple[str, ...]:
    """Names of what may go, in the order of ``ended``: oldest first. Those ``needed`` are counted and stay."""
    return tuple(
        one.name
        for place, one in zip(range(len(ended), 0, -1), ended, strict=True)  # the newest has place 1
        if place > keep.newest and not (place <= keep.most and _is_young(one, keep, now)) and one.name not in needed
    )


def _is_young(one: Ended, keep: Keep, now: datetime) -> bool:
    return now - one.at < timedelta(days=keep.days)
