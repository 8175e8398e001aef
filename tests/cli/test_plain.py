"""Progress as plain lines: a line for every transition, also for each attempt that failed."""

from __future__ import annotations

import pytest

from shipway import transfer
from shipway.cli.plain import Plain
from shipway.cli.up import news
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


def test_what_a_step_waits_for_is_said_once_when_it_has_stood_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    display = Plain(lambda: now)

    def at(second: float, detail: str) -> list[str]:
        nonlocal now
        now = second
        display.show(Progress((Step(("ModelJob", "d"), "train d", "running", detail),)), [])
        return capsys.readouterr().out.splitlines()

    assert at(0, "") == ["train d ..."]
    assert at(1, "its Pod is being made") == []
    assert at(2, "no node takes it") == []
    assert at(4.9, "no node takes it") == []
    assert at(5, "no node takes it") == ["train d ... (no node takes it)"]
    assert at(9, "no node takes it") == []
    assert at(10, "") == []
    assert at(20, "") == []


def test_an_image_that_the_registry_has_is_no_news() -> None:
    told: list[transfer.Progress] = []
    sent = transfer.Progress("blob b", 3, 3)
    for one in (transfer.Progress("blob a", 3, 3, transfer.THERE), sent):
        news(told.append)(one)
    assert told == [sent]
