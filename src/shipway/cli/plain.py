"""Progress as plain lines, for pipes and logs: one for every transition and every metric."""

from __future__ import annotations

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


class Plain:
    """Shows progress as lines."""

    def __init__(self) -> None:
        self._shown: dict[tuple[tuple[str, str], str], State] = {}

    def show(self, state: Progress, points: list[Point]) -> None:
        """Print what changed since the last call."""
        for (job, step_number), together in groupby(points, key=lambda one: (one.job, one.step)):
            click.echo(f"  {metrics(job, step_number, list(together))}")
        for step in state.steps:
            key = (step.subject, step.text)
            if step.state != "waiting" and self._shown.get(key) != step.state:
                self._shown[key] = step.state
                click.echo(line(step))


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
