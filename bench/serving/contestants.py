"""Who takes part: how each is started with a model, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.home import ROOT
from bench.serving.dialects import Dialect, plain, v2_json
from bench.serving.environments import Environment
from bench.serving.payloads import Payload

_SCRIPTS = Path(__file__).parent / "rivals"


@dataclass(frozen=True, slots=True)
class Start:
    """What a server is given: its environment, the model, a folder of its own, two free ports, how to run."""

    environment: Environment
    payload: Payload
    folder: Path
    port: int
    grpc_port: int
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments and what its environment has beyond ours."""

    arguments: list[str]
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contestant:
    """``variants``: ways to run it; the fastest in a short trial takes part. ``grpc``: whether it speaks that."""

    name: str
    environment: str
    command: Callable[[Start], Command]
    dialect: Callable[[Payload], Dialect]
    variants: tuple[str, ...] = ("",)
    grpc: bool = False


def _ours(start: Start) -> Command:
    variables = {
        "PYTHONPATH": str(ROOT / "src"),
        "HOST": "127.0.0.1",
        "PORT": str(start.port),
        "SHIPWAY_MODEL_DIR": str(start.payload.folder),
        "SHIPWAY_MODEL_NAME": "bench",
        "SHIPWAY_ALLOW_PICKLE": "1",
        "SHIPWAY_SERVER": start.variant or "{}",
    }
    if '"grpc"' in start.variant:
        variables["SHIPWAY_GRPC_PORT"] = str(start.grpc_port)
    return Command([str(start.environment.python), "-m", "shipway.runtime.server"], variables)


def predictor(name: str) -> Callable[[Start], Command]:
    """Ours with a Predictor of rivals/five_milliseconds.py instead of the model's file."""

    def command(start: Start) -> Command:
        made = _ours(start)
        made.variables["SHIPWAY_PREDICTOR"] = f"{_SCRIPTS / 'five_milliseconds.py'}:{name}"
        return made

    return command


def _script(file: str) -> Callable[[Start], Command]:
    def command(start: Start) -> Command:
        return Command([str(start.environment.python), str(_SCRIPTS / file)], _variables(start))

    return command


def _bentoml(start: Start) -> Command:
    program = str(start.environment.program("bentoml"))
    service = "bench.serving.rivals.bentoml_server:Bench"
    arguments = [program, "serve", service, "--host", "127.0.0.1", "--port", str(start.port)]
    home = {"BENTOML_HOME": str(start.folder), "BENTOML_DO_NOT_TRACK": "True"}
    return Command([*arguments, "--working-dir", str(ROOT)], _variables(start) | home)


def _ray(start: Start) -> Command:
    variables = _variables(start) | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    variables["RAY_TMPDIR"] = str(start.folder)  # else it writes below /tmp/ray and ~/.ray
    if start.variant == "throughput":
        variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
    return Command([str(start.environment.python), str(_SCRIPTS / "ray_server.py")], variables)


def _mlserver(start: Start) -> Command:
    """Its folder of settings; with one process for requests and one for the model, or one for both."""
    sklearn = start.payload.file.endswith(".joblib")
    model = {
        "name": "bench",
        "implementation": "mlserver_sklearn.SKLearnModel" if sklearn else "bench.serving.rivals.mlserver_model.Bench",
        "parameters": {"uri": str(start.payload.folder / start.payload.file)},
    }
    settings = {
        "host": "127.0.0.1",
        "http_port": start.port,
        "grpc_port": start.grpc_port,
        "metrics_endpoint": None,
        "debug": False,
        "parallel_workers": 0 if start.variant == "in-process" else 1,
    }
    (start.folder / "model-settings.json").write_text(json.dumps(model))
    (start.folder / "settings.json").write_text(json.dumps(settings))
    return Command([str(start.environment.program("mlserver")), "start", str(start.folder)], _variables(start))


def _variables(start: Start) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "PORT": str(start.port),
        "GRPC_PORT": str(start.grpc_port),
        "VARIANT": start.variant,
        "MODEL_FILE": str(start.payload.folder / start.payload.file),
        "OUTPUT": start.payload.output,
    }


def _v2(payload: Payload) -> Dialect:
    return v2_json(payload.output)


def _v2_of_mlserver(payload: Payload) -> Dialect:
    return v2_json("predict" if payload.file.endswith(".joblib") else payload.output)


def _plain(_payload: Payload) -> Dialect:
    return plain()


OURS = Contestant("Shipway", "ours", _ours, _v2, grpc=True)
HANDLER = Contestant("bare granian handler", "ours", _script("granian_handler.py"), _v2)
MLSERVER = Contestant("MLServer", "mlserver", _mlserver, _v2_of_mlserver, ("worker", "in-process"), grpc=True)
KSERVE = Contestant("KServe", "kserve", _script("kserve_server.py"), _v2, grpc=True)
LITSERVE = Contestant("LitServe", "litserve", _script("litserve_server.py"), _plain, ("alone", "batch", "fast"))
BENTOML = Contestant("BentoML", "bentoml", _bentoml, _plain, ("alone", "batch"))
RAY = Contestant("Ray Serve", "ray", _ray, _plain, ("alone", "batch", "throughput"))
RIVALS = (MLSERVER, KSERVE, LITSERVE, BENTOML, RAY)
