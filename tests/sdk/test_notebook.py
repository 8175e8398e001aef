"""The cards in IPython itself: its formatter takes them, and one card is drawn anew while ``up`` runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from shipway.deploy.progress import Point, Progress, Step
from shipway.sdk.notebook import live, silent
from tests.cli.worlds import job, succeeded
from tests.sdk.test_html import shown

TRAIN = ("ModelJob", "digits")


def test_outside_of_a_notebook_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert live() is silent
    terminal = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert live() is silent


def test_one_card_is_drawn_and_then_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def display(card: str, *, display_id: bool) -> Any:
        drawn.append("new " + card)
        return SimpleNamespace(update=lambda card: drawn.append("changed " + card))

    notebook = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display, HTML=str))
    show = live()
    running = Progress((Step(TRAIN, "train digits", "running"),))
    show(running, [])
    show(running, [])
    show(running, [Point("digits", "loss", 0.5, 3)])
    assert [one.split(" ")[0] for one in drawn] == ["new", "changed"]
    assert "train digits" in drawn[0] and "loss 0.5" in drawn[1]


@pytest.mark.extras
@pytest.mark.slow
def test_ipython_takes_the_card_and_the_short_form() -> None:
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    formats, _ = formatter.format(shown(succeeded(job())))
    assert "<div" in formats["text/html"]
    assert formats["text/plain"] == "<ModelJob digits: Succeeded, digits:1, accuracy 0.9722>"
