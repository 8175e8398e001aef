"""What the environment says to the server (docs/contract.md), and three knobs of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipway.runtime.errors import ModelRefused


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen, what to serve. ``max_body`` in bytes, ``drain_delay`` in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    model_dir: Path | None = None
    model: str = "model"
    version: str = "1"
    predictor: str | None = None
    allow_pickle: bool = False
    max_body: int = 64 * 2**20  # SHIPWAY_MAX_BODY
    threads: int = 1  # SHIPWAY_THREADS: calls of the model at a time; more than one needs a thread-safe model
    drain_delay: float = 0.0  # SHIPWAY_DRAIN_DELAY: from "not ready" to "finish and go", for slow load balancers


def read(environ: Mapping[str, str]) -> Settings:
    """The settings of this replica. Raises ModelRefused for a knob that is no number."""
    model_dir = environ.get("SHIPWAY_MODEL_DIR")
    return Settings(
        host=environ.get("HOST") or "127.0.0.1",
        port=int(_number(environ, "PORT", 8080)),
        model_dir=Path(model_dir) if model_dir else None,
        model=environ.get("SHIPWAY_MODEL_NAME") or "model",
        version=environ.get("SHIPWAY_MODEL_VERSION") or "1",
        predictor=environ.get("SHIPWAY_PREDICTOR") or None,
        allow_pickle=environ.get("SHIPWAY_ALLOW_PICKLE") == "1",
        max_body=int(_number(environ, "SHIPWAY_MAX_BODY", 64 * 2**20)),
        threads=max(1, int(_number(environ, "SHIPWAY_THREADS", 1))),
        drain_delay=_number(environ, "SHIPWAY_DRAIN_DELAY", 0.0),
    )


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ModelRefused(f"{name}={text!r} is not a number from 0 up")
    return value
