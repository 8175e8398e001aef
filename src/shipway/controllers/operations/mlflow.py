"""What an MLflow model folder says of itself: its file ``MLmodel`` and its requirements. Pure; nothing is unpickled.

Source: https://mlflow.org/docs/latest/model/ ("MLmodel file", "Model Signature": column specs and tensor specs).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from shipway.errors import UserError
from shipway.kinds import ModelSignature, ModelTensor

FILE = "MLmodel"
REQUIREMENTS = "requirements.txt"
LARGEST = 1 << 20  # bytes of either file

# Flavors that the server asks for FP64 rows under one name (runtime/server/loading/estimator.py).
_ESTIMATORS = frozenset({"sklearn", "xgboost", "lightgbm", "catboost"})
_TABLE = "input"
_NUMBERS = frozenset({"double", "float", "integer", "long", "boolean"})
_BITS = (8, 16, 32, 64)
_DATATYPES = {
    **{f"int{bits}": f"INT{bits}" for bits in _BITS},
    **{f"uint{bits}": f"UINT{bits}" for bits in _BITS},
    **{f"float{bits}": f"FP{bits}" for bits in _BITS[1:]},
    "bool": "BOOL",
    "str": "BYTES",
    "object": "BYTES",
}


@dataclass(frozen=True, slots=True)
class MlflowModel:
    """``signature`` is None where there is none, or none that says what our server would be asked for."""

    flavors: tuple[str, ...]
    signature: ModelSignature | None
    requirements: tuple[str, ...]


def read(document: bytes, requirements: bytes = b"") -> MlflowModel:
    """Read ``MLmodel`` and ``requirements.txt``. Raises UserError when the first is none."""
    try:
        found = yaml.safe_load(document)
        flavors = tuple(str(one) for one in found["flavors"])
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the file {FILE} is not one of MLflow: {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            next_step="Save the model again with mlflow, or take the file away to import the folder as it is.",
        ) from error
    return MlflowModel(flavors, _signature(found.get("signature"), flavors), _lines(requirements))


def recorded(signature: ModelSignature) -> bytes:
    """The signature as ``.shipway/signature.json`` has it (docs/contract.md): what MLflow recorded was seen on rows."""
    document = {"by": "sample", **signature.model_dump(mode="json")}
    return json.dumps(document, sort_keys=True).encode() + b"\n"


def _signature(document: Any, flavors: tuple[str, ...]) -> ModelSignature | None:
    try:
        inputs, outputs = (json.loads(document.get(part) or "[]") for part in ("inputs", "outputs"))
        if _ESTIMATORS.intersection(flavors):
            return _of_table(inputs)
        unnamed = not {"onnx"}.intersection(flavors)  # a graph has names of its own
        return ModelSignature(
            inputs=_tensors(inputs, _TABLE if unnamed else ""), outputs=_tensors(outputs, "output" if unnamed else "")
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # none, or of a form that we do not know
        return None


def _of_table(inputs: list[Mapping[str, Any]]) -> ModelSignature | None:
    """What an estimator is asked for, of columns that are all numbers or of one tensor of rows."""
    if all(one["type"] in _NUMBERS for one in inputs):
        width = len(inputs)
    elif len(inputs) == 1 and inputs[0]["type"] == "tensor":
        rows, width = inputs[0]["tensor-spec"]["shape"]
        if rows != -1:
            return None
    else:
        return None
    table = ModelTensor(name=_TABLE, datatype="FP64", shape=(-1, width))
    return ModelSignature(inputs=(table,)) if width > 0 else None


def _tensors(specs: list[Mapping[str, Any]], default: str) -> tuple[ModelTensor, ...]:
    """Raises KeyError or ValueError for what is no tensor, and for one without a name where there is no default."""
    if not specs:
        raise ValueError("nothing is said")
    names = [one.get("name") or (default if len(specs) == 1 else "") for one in specs]
    if not all(names):
        raise ValueError("a tensor has no name")
    return tuple(
        ModelTensor(name=name, datatype=_DATATYPES[spec["dtype"]], shape=tuple(spec["shape"]))
        for name, spec in zip(names, (one["tensor-spec"] for one in specs), strict=True)
    )


def _lines(requirements: bytes) -> tuple[str, ...]:
    """Requirements without comments and without pip's options: those are of the machine that it was made on."""
    lines = (one.partition(" #")[0].strip() for one in requirements.decode("utf-8", "replace").splitlines())
    return tuple(one for one in lines if one and not one.startswith(("#", "-")))
