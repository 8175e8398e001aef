"""What the server counts, as Prometheus reads it. Lives on the event loop alone, so it needs no lock.

Source: Prometheus text exposition format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class ModelMetrics:
    """Counts of inference requests of one version; probes and metadata are not counted. All times are seconds."""

    model: str
    version: str
    format: str = ""
    in_flight: int = 0
    _codes: Counter[int] = field(default_factory=Counter)
    _buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    _seconds: float = 0.0
    _rows: int = 0
    _compute_calls: int = 0
    _compute_seconds: float = 0.0

    def answered(self, code: int, seconds: float) -> None:
        """One request was answered, ``seconds`` after it came."""
        self._codes[code] += 1
        self._buckets[bisect_left(_BOUNDS, seconds)] += 1
        self._seconds += seconds

    def computed(self, rows: int, seconds: float) -> None:
        """The model was called."""
        self._rows += rows
        self._compute_calls += 1
        self._compute_seconds += seconds

    def render(self, *, ready: bool) -> str:
        """All of it, as text."""
        labels = f'model="{_escaped(self.model)}",version="{_escaped(self.version)}"'
        lines: list[str] = []

        def family(name: str, kind: str, about: str, *samples: tuple[str, str, float]) -> None:
            lines.append(f"# HELP shipway_{name} {about}")
            lines.append(f"# TYPE shipway_{name} {kind}")
            lines.extend(f"shipway_{name}{suffix}{{{labels}{more}}} {value:.17g}" for suffix, more, value in samples)

        family("model_info", "gauge", "The model that is served.", ("", f',format="{_escaped(self.format)}"', 1))
        family("ready", "gauge", "1 when the model takes requests.", ("", "", int(ready)))
        family(
            "requests_total",
            "counter",
            "Inference requests by HTTP code.",
            *(("", f',code="{code}"', count) for code, count in sorted(self._codes.items())),
        )
        family("requests_in_flight", "gauge", "Inference requests not answered yet.", ("", "", self.in_flight))
        family("request_duration_seconds", "histogram", "From the head of a request to its answer.", *self._histogram())
        family("predicted_rows_total", "counter", "Rows that the model was called with.", ("", "", self._rows))
        family(
            "compute_seconds",
            "summary",
            "Time inside the model, by call.",
            ("_sum", "", self._compute_seconds),
            ("_count", "", self._compute_calls),
        )
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[tuple[str, str, float]]:
        samples: list[tuple[str, str, float]] = []
        total = 0
        for bound, count in zip((*map(str, _BOUNDS), "+Inf"), self._buckets, strict=True):
            total += count
            samples.append(("_bucket", f',le="{bound}"', total))
        return [*samples, ("_sum", "", self._seconds), ("_count", "", total)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
