"""The display on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from shipway.cli.live import OnTerminal
from shipway.deploy.progress import Point, Progress, Step

KEY = ("ModelJob", "digits")


def test_steps_metrics_and_the_last_state_are_drawn() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    running = Progress((Step(KEY, "train digits", "running", elapsed=1.25), Step(KEY, "roll out digits", "waiting")))
    done = Progress((Step(KEY, "train digits", "done", "accuracy 0.97", 12.0),), settled=True)
    with OnTerminal(console) as terminal:
        terminal.show(running, [Point("digits", "loss", 0.5, 3), Point("digits", "accuracy", 0.9, 3)])
        terminal._live.refresh()
        terminal.show(done, [])
    text = out.getvalue()
    assert "train digits    1.2 s step 3: loss 0.5, accuracy 0.9" in text
    assert "· roll out digits" in text
    assert "✓ train digits 12 s accuracy 0.97" in text
