"""The block ``server`` of a ModelService: how Shipway's own server serves the model.

The runtime reads the same block from ``SHIPWAY_SERVER`` (runtime/server/settings.py says what each field means).
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field

from shipway.kinds.meta import Value
from shipway.kinds.quantity import Memory, Seconds, memory_bytes

_SIZES = {"maxBody", "memoryBudget", "maxSize"}
Fraction = Annotated[float, Field(ge=0, le=1)]


class Batching(Value):
    """How many rows of waiting requests go to the model together; ``maxRows: 1`` switches batching off."""

    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 64
    max_delay: Seconds = 0.0


class PredictionLog(Value):
    """A sample of inputs and outputs, as Parquet."""

    sample: Fraction = 0.0
    redact: tuple[str, ...] = ()
    max_size: Memory = "256Mi"


class Server(Value):
    """How the model is served."""

    batching: Batching = Batching()
    instances: Annotated[int, Field(ge=1, le=256)] = 1
    isolation: Literal["auto", "thread", "process"] = "auto"
    queue: Seconds = 10.0
    request_timeout: Seconds = 0.0
    max_body: Memory = "64Mi"
    drain_delay: Seconds = 0.0
    memory_budget: Memory | None = None
    grpc: bool = False
    access_log: bool = False
    prediction_log: PredictionLog = PredictionLog()
    trace_sample: Fraction = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        """The parts of the runtime that these settings switch on and that need packages of their own: the FEATUREs
        of ``runtime/requirements-FEATURE.txt``."""
        switched = {"grpc": self.grpc, "predictions": self.prediction_log.sample > 0, "tracing": self.trace_sample > 0}
        return tuple(name for name, on in switched.items() if on)

    def to_environment(self) -> str:
        """``SHIPWAY_SERVER``: what differs from the defaults, sizes as bytes; empty when nothing does."""
        document = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for block in (document, document.get("predictionLog", {})):
            block |= {name: memory_bytes(block[name]) for name in _SIZES & block.keys()}
        return json.dumps(document, sort_keys=True) if document else ""
