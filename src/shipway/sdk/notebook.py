"""Progress in a notebook: one card that is drawn anew. Elsewhere nothing is shown, and IPython is not imported."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from shipway.deploy.progress import Point, Progress, Show
from shipway.sdk import html


def live() -> Show:
    """What shows the steps of an ``up`` where the code runs: a card in a notebook, nothing elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    # A terminal's IPython has no kernel: it would print the card's repr for every step.
    return silent if getattr(shell, "kernel", None) is None else _Card().show


def silent(state: Progress, points: list[Point]) -> None:
    """Show nothing."""


class _Card:
    def __init__(self) -> None:
        self._display = import_module("IPython.display")
        self._handle: Any = None
        self._latest: dict[str, dict[str, Point]] = {}
        self._shown = ""

    def show(self, state: Progress, points: list[Point]) -> None:
        """Draw the card, when something on it changed."""
        for point in points:
            self._latest.setdefault(point.job, {})[point.name] = point
        text = html.progress(state, self._latest)
        if text == self._shown:
            return
        self._shown, card = text, self._display.HTML(text)
        if self._handle is None:
            self._handle = self._display.display(card, display_id=True)
        else:
            self._handle.update(card)
