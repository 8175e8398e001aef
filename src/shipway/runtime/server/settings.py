"""What the environment says to the server (docs/contract.md).

Where to listen and what to serve are variables of the contract. How to serve is one JSON object, ``SHIPWAY_SERVER``:
the block ``server`` of a ModelService, whose kind has the same fields (tests/runtime/test_settings.py compares them).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from shipway.runtime.errors import ModelRefused

Isolation = Literal["auto", "thread", "process"]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=86400)]


class Block(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A part of the ``server`` block; the names in JSON are camelCase."""


class Batching(Block, frozen=True):
    """``max_rows`` 1 switches batching off. ``max_delay``: how long rows may be held for company, even when an
    instance is idle; 0 never holds."""

    max_rows: Annotated[int, Meta(ge=1, le=100_000)] = 64
    max_delay: Seconds = 0.0


class PredictionLog(Block, frozen=True):
    """``sample``: which share of requests is kept, by a hash of the request's id; ``redact``: names of inputs and
    outputs that are left out; ``max_size``: bytes on disk, the oldest files go first."""

    sample: Fraction = 0.0
    redact: tuple[str, ...] = ()
    max_size: Annotated[int, Meta(ge=2**20)] = 256 * 2**20


class Server(Block, frozen=True):
    """How a model is served.

    - ``instances``: calls of the model at a time.
    - ``queue``: predicted seconds of work that may wait; what would wait longer is refused.
    - ``request_timeout``: of a request that names none; 0 means none.
    - ``max_body``: bytes of a request, also after decompression.
    - ``drain_delay``: seconds between "not ready" and the end of accepting.
    - ``memory_budget``: bytes that loaded models may take together; 0 means no limit.
    - ``trace_sample``: share of requests whose trace is exported to ``OTEL_EXPORTER_OTLP_ENDPOINT``.
    """

    batching: Batching = Batching()
    instances: Annotated[int, Meta(ge=1, le=256)] = 1
    isolation: Isolation = "auto"
    queue: Seconds = 10.0
    request_timeout: Seconds = 0.0
    max_body: Annotated[int, Meta(ge=1024)] = 64 * 2**20
    drain_delay: Seconds = 0.0
    memory_budget: Annotated[int, Meta(ge=0)] = 0
    grpc: bool = False
    access_log: bool = False
    prediction_log: PredictionLog = PredictionLog()
    trace_sample: Fraction = 0.0


class Settings(Struct, frozen=True):
    """Where to listen, what to serve, and how."""

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int = 0  # 0: no gRPC
    model_dir: Path | None = None
    models_dir: Path | None = None  # a repository: NAME/VERSION/files
    model: str = "model"
    version: str = "1"
    predictor: str | None = None
    allow_pickle: bool = False
    admin_key: str = ""  # without one, models are not loaded and unloaded over the network
    data_dir: Path | None = None  # where the prediction log may write
    workload: str = ""
    replica: str = "0"
    server: Server = Server()


_SERVER = msgspec.json.Decoder(Server)


def read(environ: Mapping[str, str]) -> Settings:
    """The settings of this replica. Raises ModelRefused, naming the variable and what is wrong with it."""
    return Settings(
        host=environ.get("HOST") or "127.0.0.1",
        port=_port(environ, "PORT", 8080),
        grpc_port=_port(environ, "SHIPWAY_GRPC_PORT", 0),
        model_dir=_folder(environ, "SHIPWAY_MODEL_DIR"),
        models_dir=_folder(environ, "SHIPWAY_MODELS_DIR"),
        model=environ.get("SHIPWAY_MODEL_NAME") or "model",
        version=environ.get("SHIPWAY_MODEL_VERSION") or "1",
        predictor=environ.get("SHIPWAY_PREDICTOR") or None,
        allow_pickle=environ.get("SHIPWAY_ALLOW_PICKLE") == "1",
        admin_key=environ.get("SHIPWAY_ADMIN_KEY") or "",
        data_dir=_folder(environ, "SHIPWAY_DATA_DIR"),
        workload=environ.get("SHIPWAY_WORKLOAD") or "",
        replica=environ.get("SHIPWAY_REPLICA_INDEX") or "0",
        server=_server(environ.get("SHIPWAY_SERVER") or "{}"),
    )


def _server(text: str) -> Server:
    try:
        return _SERVER.decode(text)
    except msgspec.DecodeError as error:
        raise ModelRefused(f"SHIPWAY_SERVER={text!r}: {error}") from error


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    return Path(value) if value else None


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise ModelRefused(f"{name}={text!r} is not a port from 0 to 65535")
    return int(text)
