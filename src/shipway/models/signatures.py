"""The signature that lies beside a model's files, as runtime/recording.py writes it (docs/contract.md). Pure.

Read where it may have been written by anybody's code, or by a later Shipway: what cannot be understood is no signature.
"""

from __future__ import annotations

import json
from typing import Any

from shipway.kinds import ModelSignature, ModelTensor

FILE = ".shipway/signature.json"
LARGEST = 64 * 1024  # bytes; it goes into the version's manifest and the Model's status


def parse(text: str | bytes) -> ModelSignature | None:
    """The signature that a JSON document says; keys of a later Shipway are ignored."""
    if len(text) > LARGEST:
        return None
    try:
        document = json.loads(text)
        return ModelSignature(inputs=_tensors(document["inputs"]), outputs=_tensors(document["outputs"]))
    except (KeyError, RecursionError, TypeError, ValueError):  # pydantic's ValidationError is a ValueError
        return None


def _tensors(document: list[dict[str, Any]]) -> tuple[ModelTensor, ...]:
    return tuple(ModelTensor(name=one["name"], datatype=one["datatype"], shape=one["shape"]) for one in document)
