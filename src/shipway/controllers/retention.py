"""Forget in time: the journal, and Python environments that nothing uses. Runs and revisions go with their objects.

A "reconcile" as any other: the queue asks again when it says so, and sooner when the disk refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from shipway.controllers.queue import Key
from shipway.controllers.recorder import Recorder
from shipway.ports import Clock, Journal
from shipway.retention import Retention

RETENTION: Key = ("Retention", "home")
SUBJECT = "/".join(RETENTION)


@dataclass(frozen=True, slots=True)
class RetentionController:
    """Keeps the home from growing for ever. ``prune_environments(now, idle seconds)`` answers with what it removed."""

    journal: Journal
    clock: Clock
    recorder: Recorder
    retention: Retention = Retention()
    prune_environments: Callable[[datetime, float], list[str]] = lambda now, idle: []

    async def reconcile(self, name: str) -> datetime | None:
        """Look once; when to look again. ``name`` is always the home's."""
        rules, now = self.retention, self.clock.now()
        before = rules.journal_before(now)
        # In threads: the first look after a long time may delete gigabytes.
        rows = await asyncio.to_thread(self.journal.prune, before=before, keep=rules.journal_rows)
        idle = timedelta(days=rules.environments_days)
        environments = await asyncio.to_thread(self.prune_environments, now, idle.total_seconds())
        if rows or environments:
            self.recorder.decision(
                SUBJECT,
                "Forgotten",
                _in_words(rows, environments, rules),
                {"rows": rows, "before": before.isoformat(), "keep": rules.journal_rows, "environments": environments},
            )
        return now + timedelta(seconds=rules.every)


def _in_words(rows: int, environments: list[str], rules: Retention) -> str:
    told = []
    if rows:
        bounds = f"older than {rules.journal_days:g} days or beyond the newest {rules.journal_rows}"
        told.append(f"{rows} lines of the journal, {bounds}")
    if environments:
        unused = f"unused for {rules.environments_days:g} days"
        told.append(f"{len(environments)} Python environments, {unused}: {', '.join(environments)}")
    return "; ".join(told)
