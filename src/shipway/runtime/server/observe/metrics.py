"""What the server counts, by model and version. Lives on the event loop alone, so it needs no lock.

Names of models and versions come from what is loaded, never from requests, so the number of lines is bounded; what was
unloaded keeps its counts, for it may come back. docs/observe.md lists every name (a test compares).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from shipway.runtime.server.observe.exposition import Family, Page
from shipway.runtime.server.observe.histogram import ROWS, Histogram
from shipway.runtime.server.refusals import Reason

REQUESTS = Family("shipway_requests_total", "counter", "Inference requests that ended, by protocol and code.")
IN_FLIGHT = Family("shipway_requests_in_flight", "gauge", "Inference requests that have not ended yet.")
DURATION = Family("shipway_request_duration_seconds", "histogram", "From the head of a request to its answer.")
QUEUED = Family("shipway_queue_duration_seconds", "histogram", "How long requests waited for the model.")
COMPUTE = Family("shipway_compute_duration_seconds", "histogram", "Time inside the model, by call of it.")
BATCH = Family("shipway_batch_rows", "histogram", "Rows that the model was called with, by call of it.")
DECODE = Family("shipway_decode_duration_seconds", "histogram", "From the body of a request to arrays.")
ENCODE = Family("shipway_encode_duration_seconds", "histogram", "From arrays to the body of an answer.")
RECEIVED = Family("shipway_received_bytes_total", "counter", "Bytes of the bodies of inference requests.")
SENT = Family("shipway_sent_bytes_total", "counter", "Bytes of the bodies of their answers.")
CANCELLED = Family("shipway_cancelled_total", "counter", "Requests that were taken back before they were answered.")
EXPIRED = Family("shipway_expired_total", "counter", "Requests whose deadline passed before they were answered.")
SHED = Family("shipway_shed_total", "counter", "Requests that were refused unserved, by reason.")
RESTARTS = Family("shipway_worker_restarts_total", "counter", "Worker processes that were started again.")
COLD_START = Family(
    "shipway_cold_start_seconds", "gauge", "When a phase of the start was over, since the process began."
)
WAITING = Family("shipway_queued_rows", "gauge", "Rows that wait for the model.")
BACKLOG = Family("shipway_queued_seconds", "gauge", "Predicted work that waits, in seconds of one instance.")
UTILISATION = Family(
    "shipway_utilisation", "gauge", "Work that was asked for in the last 10 s, as a share of capacity."
)
INFO = Family("shipway_model_info", "gauge", "The models that are loaded.")
READY = Family("shipway_ready", "gauge", "1 when the model takes requests.")

_WINDOW = 10.0  # seconds that utilisation looks back


class Load(Protocol):
    """What there is to do: the scheduler's."""

    @property
    def rows(self) -> int: ...

    @property
    def seconds(self) -> float: ...

    @property
    def capacity(self) -> int: ...

    @property
    def offered(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Offered:
    """How much work had been asked for at a time, in seconds of one instance."""

    at: float
    seconds: float


class ModelMetrics:
    """Counts of one version of a model; an ``engine.observer.Observer``. All times are seconds."""

    def __init__(
        self, model: str, version: str, clock: Callable[[], float] = time.monotonic, born: float = 0.0
    ) -> None:
        """``born``: when the process began, on the clock."""
        self.model = model
        self.version = version
        self.in_flight = 0
        self._clock = clock
        self._born = born
        self._format: str | None = None  # None: not loaded
        self._load: Callable[[], Load] | None = None
        self._codes: dict[tuple[str, int | str], int] = {}
        self._duration = Histogram()
        self._queued = Histogram()
        self._compute = Histogram()
        self._batch = Histogram(ROWS)
        self._decode = Histogram()
        self._encode = Histogram()
        self._received = 0
        self._sent = 0
        self._dropped: dict[Reason, int] = {}
        self._restarts = 0
        self._phases: dict[str, float] = {}
        self._marks: deque[Offered] = deque()
        self._next_mark = 0.0

    def opened(self, format_: str, load: Callable[[], Load]) -> None:
        """It is loaded, and has nothing to do yet."""
        self._format, self._load = format_, load
        self._marks = deque([Offered(self._clock(), load().offered)])

    def closed(self, load: Callable[[], Load]) -> None:
        """What was opened with that has ended; meanwhile it may have been loaded again."""
        if self._load == load:
            self._format, self._load = None, None

    def reached(self, phase: str, at: float) -> None:
        """A phase of the start (``import``, ``open``, ``warm-up``, ``first-answer``) was over at that time. What was
        reached before stays: a model that comes back is no cold start."""
        self._phases.setdefault(phase, at - self._born)

    def ended(self, protocol: str, code: int | str, seconds: float) -> None:
        """A request was answered, or refused, or nobody waits for its answer any more."""
        key = (protocol, code)
        self._codes[key] = self._codes.get(key, 0) + 1
        self._duration.add(seconds)

    def decoded(self, size: int, seconds: float) -> None:
        """The body of a request became arrays."""
        self._received += size
        self._decode.add(seconds)

    def encoded(self, size: int, seconds: float) -> None:
        """Arrays became the body of an answer."""
        self._sent += size
        self._encode.add(seconds)

    def waited(self, seconds: float) -> None:
        """A request's work begins, so long after it came."""
        self._queued.add(seconds)

    def computed(self, rows: int, seconds: float) -> None:
        """The model was called."""
        self._batch.add(rows)
        self._compute.add(seconds)
        now = self._clock()
        if now >= self._next_mark and self._load is not None:
            self.reached("first-answer", now)
            self._mark(now, self._load())

    def dropped(self, reason: Reason, seconds: float) -> None:
        """A request was given up."""
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def restarted(self) -> None:
        """A worker process died, and another took its place."""
        self._restarts += 1

    def utilisation(self) -> float:
        """Work asked for in the last ten seconds (what was refused counts as what it would have cost) as a share of
        what all instances can do; above 1 there is more than they can. 0 when nothing is loaded."""
        if self._load is None:
            return 0.0
        now, load = self._clock(), self._load()
        self._mark(now, load)
        past = self._marks[0]
        # After a pause the mark lies far back, and nothing was asked for in between.
        elapsed = min(max(now - past.at, 1.0), _WINDOW + 1.0)
        return (load.offered - past.seconds) / elapsed / load.capacity

    def _mark(self, now: float, load: Load) -> None:
        """Remember where the work stood, once a second; the first mark is the newest that is older than the window."""
        marks = self._marks
        if now >= self._next_mark:
            self._next_mark = now + 1.0
            marks.append(Offered(now, load.offered))
        while len(marks) > 1 and marks[1].at <= now - _WINDOW:
            marks.popleft()

    def render(self, page: Page, *, ready: bool) -> None:
        """Its lines; ``ready`` is the server's."""
        labels = {"model": self.model, "version": self.version}
        if self._format is not None and self._load is not None:
            page.add(INFO, 1, {**labels, "format": self._format})
            self._render_load(page, labels, self._load())
        page.add(READY, int(ready and self._format is not None), labels)
        self.render_requests(page)
        page.add(IN_FLIGHT, self.in_flight, labels)
        for family, histogram in (
            (DURATION, self._duration),
            (QUEUED, self._queued),
            (COMPUTE, self._compute),
            (BATCH, self._batch),
            (DECODE, self._decode),
            (ENCODE, self._encode),
        ):
            page.add_all(family, histogram.samples(), labels)
        page.add(RECEIVED, self._received, labels)
        page.add(SENT, self._sent, labels)
        self._render_dropped(page, labels)
        page.add(RESTARTS, self._restarts, labels)
        for phase, seconds in self._phases.items():
            page.add(COLD_START, seconds, {**labels, "phase": phase})

    def render_requests(self, page: Page) -> None:
        """How many ended, and how."""
        for (protocol, code), count in sorted(self._codes.items(), key=str):
            labels = {"model": self.model, "version": self.version, "protocol": protocol, "code": str(code)}
            page.add(REQUESTS, count, labels)

    def _render_load(self, page: Page, labels: Mapping[str, str], load: Load) -> None:
        page.add(WAITING, load.rows, labels)
        page.add(BACKLOG, load.seconds, labels)
        page.add(UTILISATION, self.utilisation(), labels)

    def _render_dropped(self, page: Page, labels: Mapping[str, str]) -> None:
        page.add(CANCELLED, self._dropped.get(Reason.CANCELLED, 0), labels)
        page.add(EXPIRED, self._dropped.get(Reason.EXPIRED, 0), labels)
        for reason in (Reason.OVERLOADED, Reason.UNAVAILABLE):
            page.add(SHED, self._dropped.get(reason, 0), {**labels, "reason": reason.name.lower()})


class Metrics:
    """All models of a server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, born: float = 0.0) -> None:
        """Made when everything is imported; ``born``: when the process began, on the clock."""
        self._clock = clock
        self._born = born
        self._imported = clock()
        self._models: dict[tuple[str, str], ModelMetrics] = {}
        self._pages: list[Callable[[Page], None]] = []
        self.nobodys = ModelMetrics("", "", clock)  # requests for what this server has not, or has not ready

    def of(self, model: str, version: str) -> ModelMetrics:
        """The counts of a version: those that it had before, if it was here."""
        key = (model, version)
        if key not in self._models:
            self._models[key] = ModelMetrics(model, version, self._clock, self._born)
            self._models[key].reached("import", self._imported)
        return self._models[key]

    def include(self, render: Callable[[Page], None]) -> None:
        """Lines that are no model's, made at every scrape."""
        self._pages.append(render)

    def render(self, *, ready: bool) -> str:
        """The whole exposition; ``ready``: whether the server takes requests."""
        page = Page()
        for metrics in self._models.values():
            metrics.render(page, ready=ready)
        self.nobodys.render_requests(page)
        for render in self._pages:
            render(page)
        return page.text()
