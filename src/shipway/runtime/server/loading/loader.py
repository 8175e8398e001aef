"""From files and environment to a :class:`Model`: the format is found, or the user's Predictor is imported."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from shipway.runtime.errors import ModelRefused
from shipway.runtime.formats import ModelFile, find, open_model
from shipway.runtime.predictor import Predictor
from shipway.runtime.recording import Recorded, contradiction, fitted, read
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.cpus import limit_blas, threads
from shipway.runtime.server.loading.estimator import estimator_model
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.program import program_model
from shipway.runtime.server.loading.script import script_model
from shipway.runtime.server.loading.session import session_model
from shipway.runtime.server.settings import Settings
from shipway.runtime.signature import Signature


def load(settings: Settings) -> Model:
    """The model of this replica. Raises ModelRefused; whatever user code raises is written to stderr first."""
    if settings.predictor:
        return _from_predictor(settings.predictor, settings.model_dir)
    if settings.model_dir is None:
        raise ModelRefused("nothing to serve: neither SHIPWAY_MODEL_DIR nor SHIPWAY_PREDICTOR is set")
    return from_files(settings.model_dir, settings.allow_pickle, settings.server.instances).model


@dataclass(frozen=True, slots=True)
class Opened:
    """The file of a folder's model, the model as its own library gives it, and as it is served."""

    file: ModelFile
    native: Any
    model: Model


def from_files(model_dir: Path, allow_pickle: bool, instances: int = 1) -> Opened:
    """The model of a folder, by its format. Raises ModelRefused."""
    file, recorded = find(model_dir), read(model_dir)
    count = threads(instances)
    native = open_model(file, allow_pickle=allow_pickle, threads=count)
    if file.format in ("pickle", "skops"):
        limit_blas(count)
    model = _as_recorded(_native_model(native, file, recorded.signature), file.path.name, recorded)
    return Opened(file, native, model)


def _native_model(native: Any, file: ModelFile, recorded: Signature) -> Model:
    name = file.path.name
    match file.format:
        case "onnx":
            return session_model(native, name)
        case "export":
            return program_model(native, name)
        case "torch" | "torchscript" if isinstance(native, Mapping):
            raise ModelRefused(
                f"{name} holds weights and no network: name a predictor that builds the network and loads them, or "
                "save the whole model with torch.export.save(torch.export.export(network, ...), 'model.pt2')"
            )
        case "torch" | "torchscript":
            return script_model(native, name, recorded)
        case _:
            return estimator_model(native, name)


def _as_recorded(model: Model, name: str, recorded: Recorded) -> Model:
    """The model, and what it does not know of itself from what was recorded when it was packed. Raises ModelRefused
    when both know and do not agree: it is not the model that was trained, or it is read otherwise than it was then."""
    if recorded.by == "model" and (problem := contradiction(recorded.signature, model.signature)):
        raise ModelRefused(f"{name} is not what was recorded in this version: {problem}")
    inputs = model.signature.inputs or recorded.signature.inputs
    outputs = model.signature.outputs or (recorded.signature.outputs if recorded.by == "model" else ())
    one = fitted(recorded.inputs, inputs, rows=1)
    return replace(model, signature=Signature(inputs, outputs), sample=lambda: one)


def _from_predictor(reference: str, model_dir: Path | None) -> Model:
    cls = _predictor_class(reference)
    try:
        predictor = cls()
        if model_dir is not None or cls.load is not Predictor.load:
            predictor.load(model_dir or Path.cwd())
    except ModelRefused:
        raise
    except (Exception, SystemExit) as error:
        raise _refused(f"{reference} could not load", error) from error
    # What the model itself takes is not what comes to a predictor in front of it. Rows that training code saved are.
    recorded = read(model_dir) if model_dir is not None else Recorded()
    known = recorded if recorded.by == "sample" else Recorded()
    signature = predictor.signature or Signature(known.signature.inputs)
    if not isinstance(signature, Signature):
        raise ModelRefused(f"{reference}: signature must be a Signature, got {type(signature).__name__}")

    predict: Callable[..., Any] = predictor.predict
    takes_parameters = "parameters" in inspect.signature(cls.predict).parameters

    def function(call: Call) -> Any:
        several = len(signature.inputs) > 1 or len(call.inputs) > 1
        x = dict(call.inputs) if several else next(iter(call.inputs.values()))
        return predict(x, parameters=dict(call.parameters)) if takes_parameters else predict(x)

    def sample() -> Any:
        made = predictor.warmup()
        return fitted(known.inputs, signature.inputs, rows=1) if made is None else made

    return Model(
        format="shipway-predictor",
        function=function,
        signature=signature,
        sample=sample,
        is_async=inspect.iscoroutinefunction(cls.predict) or inspect.isasyncgenfunction(cls.predict),
        streams=inspect.isgeneratorfunction(cls.predict) or inspect.isasyncgenfunction(cls.predict),
    )


def _predictor_class(reference: str) -> type[Predictor]:
    file_name, separator, class_name = reference.partition(":")
    if not separator or not class_name:
        raise ModelRefused(f"predictor {reference!r} must look like predictor.py:Digits")
    path = Path(file_name).absolute()
    if not path.is_file():
        raise ModelRefused(f"predictor {reference}: there is no file {file_name} in {Path.cwd()}")
    module = _imported(path, reference)
    found = getattr(module, class_name, None)
    if isinstance(found, type) and issubclass(found, Predictor):
        return found
    others = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Predictor) and value is not Predictor
    ]
    problem = f"no class {class_name!r}" if found is None else f"{class_name!r} is no subclass of shipway.Predictor"
    raise ModelRefused(f"predictor {reference}: {problem}; {file_name} has: {', '.join(others) or 'no Predictor'}")


def _imported(path: Path, reference: str) -> Any:
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelRefused(f"predictor {reference}: {path.name} is no Python file")
    module = module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # for the modules beside it
    sys.modules[path.stem] = module  # for pickles of classes that are defined in it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _refused(f"predictor {reference}: {path.name} could not be imported", error) from error
    return module


def _refused(what: str, error: BaseException) -> ModelRefused:
    traceback.print_exception(error, file=sys.stderr)
    return ModelRefused(f"{what}: {type(error).__name__}: {error}")
