"""All that looks at requests, in one object: both protocols begin and finish each inference request here."""

from __future__ import annotations

from time import monotonic
from typing import Protocol

from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.observe.request import Headers, Observed


class Sink(Protocol):
    """Somebody who is told of each request that ended. On the event loop: quick, never blocks, never raises."""

    def take(self, seen: Observed) -> None:
        """It has ended."""

    def close(self) -> None:
        """The last request has ended. Waits a few seconds at most until what was kept is where it belongs."""


class Observer:
    """The metrics, and those of access log, tracer and prediction log that are switched on."""

    def __init__(self, metrics: Metrics, sinks: tuple[Sink, ...] = ()) -> None:
        self.metrics = metrics
        self._sinks = sinks

    def begin(self, protocol: str, method: str, path: str, headers: Headers, came: float) -> Observed:
        """A request came, at a time of ``time.monotonic()``."""
        return Observed(protocol, method, path, headers, came)

    def finish(self, seen: Observed, code: int | str, sent: int = 0) -> None:
        """It has ended: with an answer of ``sent`` bytes, with a refusal, or because nobody waits for it any more."""
        now = monotonic()
        metrics = seen.metrics
        if metrics is None:
            self.metrics.nobodys.ended(seen.protocol, code, now - seen.came)
        else:
            metrics.in_flight -= 1
            metrics.ended(seen.protocol, code, now - seen.came)
            if seen.decoded_at:
                metrics.decoded(seen.received, seen.decoded_at - seen.read_at)
                if seen.answered_at:
                    metrics.encoded(sent, now - seen.answered_at)
        if self._sinks:
            seen.code, seen.sent, seen.ended = code, sent, now
            for sink in self._sinks:
                sink.take(seen)

    def close(self) -> None:
        """Nothing comes any more."""
        for sink in self._sinks:
            sink.close()
