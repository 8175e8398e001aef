"""Progress as plain lines, for pipes and logs: one for every transition, every metric, and for what something waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import click

from shipway.deploy.progress import Point, Progress, State, Step

_WORDS: dict[State, str] = {
    "retrying": "tries again",
    "done": "done",
    "cached": "cached",
    "failed": "FAILED",
    "kept": "not done",
}

_PATIENCE = 3.0  # seconds that a step stands at the same words before a pipe is told them


@dataclass(slots=True)
class _Seen:
    """What a step was last seen at, since when, and the words that were printed of it."""

    state: State
    detail: str
    since: float
    printed: str


class Plain:
    """Shows progress as lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[tuple[str, str], str], _Seen] = {}

    def show(self, state: Progress, points: list[Point]) -> None:
        """Print what changed since the last call."""
        for (job, step_number), together in groupby(points, key=lambda one: (one.job, one.step)):
            click.echo(f"  {metrics(job, step_number, list(together))}")
        for step in state.steps:
            if step.state != "waiting" and self._is_news(step):
                click.echo(line(step))

    def _is_news(self, step: Step) -> bool:
        """A transition; or words that have stood for a while, which say why nothing moves: a Pod that no node takes."""
        key, now = (step.subject, step.text), self._clock()
        seen = self._seen.get(key)
        if seen is None or seen.state != step.state:
            self._seen[key] = _Seen(step.state, step.detail, now, printed=step.detail)
            return True
        if seen.detail != step.detail:
            seen.detail, seen.since = step.detail, now
        if step.state != "running" or step.detail in ("", seen.printed) or now - seen.since < _PATIENCE:
            return False
        seen.printed = step.detail
        return True


def metrics(job: str, step: int | None, points: list[Point]) -> str:
    """``digits step 3: loss 0.309, accuracy 0.9722``."""
    at = "" if step is None else f" step {step}"
    return f"{job}{at}: " + ", ".join(f"{one.name} {one.value:.4g}" for one in points)


def line(step: Step) -> str:
    """``train digits: done in 3.2 s, accuracy 0.97``, or ``train digits ...`` while it runs."""
    if step.state == "running":
        return f"{step.text} ..." + (f" ({step.detail})" if step.detail else "")
    ended = step.state in ("done", "failed") and step.elapsed is not None
    took = f" in {seconds(step.elapsed)}" if ended else ""
    return f"{step.text}: {_WORDS[step.state]}{took}" + (f", {step.detail}" if step.detail else "")


def seconds(value: float | None) -> str:
    """``3.2 s``, ``75 s``; empty without a value."""
    if value is None:
        return ""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
