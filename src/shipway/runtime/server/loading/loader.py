"""From files and environment to a :class:`Model`: the format is found, or the user's Predictor is imported."""

from __future__ import annotations

import inspect
import sys
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from shipway.runtime.errors import ModelRefused
from shipway.runtime.formats import find, open_model
from shipway.runtime.predictor import Predictor
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.estimator import estimator_model
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.session import session_model
from shipway.runtime.server.settings import Settings
from shipway.runtime.signature import Signature


def load(settings: Settings) -> Model:
    """The model of this replica. Raises ModelRefused; whatever user code raises is written to stderr first."""
    if settings.predictor:
        return _from_predictor(settings.predictor, settings.model_dir)
    if settings.model_dir is None:
        raise ModelRefused("nothing to serve: neither SHIPWAY_MODEL_DIR nor SHIPWAY_PREDICTOR is set")
    file = find(settings.model_dir)
    native = open_model(file, allow_pickle=settings.allow_pickle)
    if file.format == "onnx":
        return session_model(native, file.path.name)
    return estimator_model(native, file.path.name)


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
    signature = predictor.signature or Signature()
    if not isinstance(signature, Signature):
        raise ModelRefused(f"{reference}: signature must be a Signature, got {type(signature).__name__}")

    def function(call: Call) -> Any:
        several = len(signature.inputs) > 1 or len(call.inputs) > 1
        return predictor.predict(dict(call.inputs) if several else next(iter(call.inputs.values())))

    return Model(
        format="shipway-predictor",
        function=function,
        signature=signature,
        sample=predictor.warmup,
        is_async=inspect.iscoroutinefunction(cls.predict),
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
