"""What a scheduler tells about its work, for the metrics."""

from __future__ import annotations

from typing import Protocol

from shipway.runtime.server.refusals import Reason


class Observer(Protocol):
    """Called on the event loop, several times a request: must be quick, and must not raise. All times are seconds."""

    def waited(self, seconds: float) -> None:
        """A request's work begins, so long after it came."""

    def computed(self, rows: int, seconds: float) -> None:
        """The model was called, for the rows of one request or of several."""

    def dropped(self, reason: Reason, seconds: float) -> None:
        """A request got no answer of the model: OVERLOADED (shed), EXPIRED or CANCELLED. ``seconds`` of work are what
        it would have cost, as predicted; 0 where nothing is known or the work was done all the same."""


class Silent:
    """Nobody looks."""

    def waited(self, seconds: float) -> None: ...

    def computed(self, rows: int, seconds: float) -> None: ...

    def dropped(self, reason: Reason, seconds: float) -> None: ...
