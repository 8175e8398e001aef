"""Progress as plain lines: a line for every transition, also for each attempt that failed."""

from __future__ import annotations

import pytest

from shipway.cli.plain import Plain
from shipway.deploy.progress import Progress, State, Step


def test_every_failed_attempt_and_the_next_one_are_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = Plain()
    told: list[tuple[State, str]] = [
        ("running", ""),
        ("retrying", "attempt 1 of 2 failed, the next one in 1 s: exited with code 3"),
        ("retrying", "attempt 1 of 2 failed, the next one in 0 s: exited with code 3"),
        ("running", "attempt 2"),
        ("done", ""),
    ]
    for state, detail in told:
        display.show(Progress((Step(("ModelJob", "d"), "train d", state, detail),)), [])
    assert capsys.readouterr().out.splitlines() == [
        "train d ...",
        "train d: tries again, attempt 1 of 2 failed, the next one in 1 s: exited with code 3",
        "train d ... (attempt 2)",
        "train d: done",
    ]
