"""The prediction log: a sample of what was asked and answered, for drift and for the comparison of versions.

The event loop decides, copies and puts into a bounded ring; a thread writes. What the ring or the disk has no room for
is dropped and counted: no request waits for the log, and none fails because of it.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Protocol

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.observe.exposition import Family, Page
from shipway.runtime.server.observe.predictions.files import Files, Outcome
from shipway.runtime.server.observe.predictions.prediction import Prediction, copied, position
from shipway.runtime.server.observe.request import Observed
from shipway.runtime.server.refusals import Reason
from shipway.runtime.server.settings import Settings

LOGGED = Family("shipway_predictions_logged_total", "counter", "Requests that are in files of the prediction log.")
DROPPED = Family("shipway_predictions_dropped_total", "counter", "Sampled requests that are not, by reason.")

_RING = 64 * 2**20  # bytes of copies that wait for the disk
_MOST = 20_000  # requests that wait
_EVERY = 10.0  # seconds between two writes
_PATIENCE = 5.0  # seconds that the end waits for the disk

_HTTP = {"OK": 200} | {reason.value.grpc: reason.value.http for reason in Reason if reason is not Reason.TOO_LARGE}


class Store(Protocol):
    """Where predictions are kept."""

    def add(self, predictions: Sequence[Prediction], now: float) -> Outcome:
        """When it returns, so many of them are kept."""


class PredictionLog:
    """A sink of the observer."""

    def __init__(
        self,
        store: Store,
        sample: float,
        redact: Sequence[str] = (),
        *,
        wall: Callable[[], float] = time.time,
        every: float = _EVERY,
        ring: int = _RING,
    ) -> None:
        self._store = store
        self._sample = sample
        self._redacted = frozenset(redact)
        self._wall = wall
        self._every = every
        self._room = ring
        self._ring: deque[Prediction] = deque()
        self._taken = 0  # bytes that ever came into the ring
        self._written = 0  # bytes that ever left it; this and the next two are the thread's
        self._logged = 0
        self._lost = 0
        self._full = 0
        self._failing = False
        self._ending = False
        self._wake = Event()
        self._thread = Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def take(self, seen: Observed) -> None:
        call, metrics = seen.call, seen.metrics
        if call is None or metrics is None:
            return  # nothing that a model could have been asked
        id_ = seen.id or os.urandom(16).hex()
        if position(id_) >= self._sample:
            return
        waiting = self._taken - self._written
        if waiting >= self._room or len(self._ring) >= _MOST:
            self._full += 1
            return
        prediction = Prediction(
            time=self._wall() - (seen.ended - seen.came),
            id=id_,
            model=metrics.model,
            version=metrics.version,
            status=_HTTP.get(seen.code, 500) if isinstance(seen.code, str) else seen.code,
            milliseconds=(seen.ended - seen.came) * 1000,
            parameters={name: value for name, value in call.parameters.items() if name not in self._redacted},
            inputs=copied(call.inputs, self._redacted),
            outputs=copied(seen.answer.outputs, self._redacted) if seen.answer is not None else {},
        )
        self._taken += prediction.size
        self._ring.append(prediction)
        if waiting > self._room // 4:
            self._wake.set()

    def close(self) -> None:
        self._ending = True
        self._wake.set()
        self._thread.join(_PATIENCE)

    def render(self, page: Page) -> None:
        """Its lines of the metrics."""
        page.add(LOGGED, self._logged)
        page.add(DROPPED, self._full, {"reason": "full"})
        page.add(DROPPED, self._lost, {"reason": "disk"})

    def _run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(self._every)
            self._wake.clear()
            ending = self._ending
            predictions = [self._ring.popleft() for _ in range(len(self._ring))]
            if predictions:
                self._keep(predictions)
                self._written += sum(one.size for one in predictions)

    def _keep(self, predictions: Sequence[Prediction]) -> None:
        outcome = self._store.add(predictions, self._wall())
        self._logged += outcome.kept
        self._lost += len(predictions) - outcome.kept
        if outcome.trouble is not None and not self._failing:
            print(f"shipway: the prediction log drops requests: {outcome.trouble}", file=sys.stderr, flush=True)
        self._failing = outcome.trouble is not None


def make_prediction_log(settings: Settings) -> PredictionLog:
    """As the ``predictionLog`` block says, below ``SHIPWAY_DATA_DIR``. Raises ModelRefused."""
    wanted = settings.server.prediction_log
    if settings.data_dir is None:
        raise ModelRefused(
            f"predictionLog.sample is {wanted.sample:g}, and SHIPWAY_DATA_DIR, the folder for the log, is not set"
        )
    files = Files(settings.data_dir / "predictions", f"r{settings.replica}", settings.workload, wanted.max_size)
    return PredictionLog(files, wanted.sample, wanted.redact)
