"""Users' values to the body of a request, and answers back to values. Pure; numpy and pandas are not imported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shipway.client import Answer
from shipway.deploy.documents import Object
from shipway.deploy.requests import is_protocol
from shipway.errors import UserError

_WRAPPED = ({"input"}, {"instances"})


def body_of(service: Object, data: Any) -> bytes:
    """The JSON body for a service.

    A server of the user's own gets ``data`` as it is. So does a model that gets a request of the Open Inference
    Protocol (a dict with a list ``inputs``) or one in the form of ``/predict`` (``{"input": ...}``); anything else
    becomes that ``input``: rows, or a dict of columns by input name. Raises UserError for what JSON cannot hold.
    """
    values = plain(data)
    body = _dumped(values)
    if not service["spec"].get("model") or is_protocol(body):
        return body
    return body if isinstance(values, dict) and set(values) in _WRAPPED else _dumped({"input": values})


def value_of(service: Object, answer: Answer) -> Any:
    """What was answered: of ``/predict`` of a model the ``output``; else the JSON, or the text where it is none."""
    try:
        value = json.loads(answer.text)
    except ValueError:
        return answer.text
    served = service["spec"].get("model") and isinstance(value, dict) and set(value) == {"output"}
    return value["output"] if served else value


def plain(data: Any) -> Any:
    """``data`` as lists, dicts, numbers and text.

    Arrays, tensors and series have ``tolist``; a frame becomes its rows, in the order of its columns.
    """
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(one) for one in data]
    if hasattr(data, "tolist"):
        return data.tolist()
    if hasattr(data, "to_numpy"):  # frames of pandas and polars
        return data.to_numpy().tolist()
    return data


def _dumped(values: Any) -> bytes:
    try:
        return json.dumps(values).encode()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"these values cannot be sent as JSON: {error}",
            next_step="give numbers, text, lists, dicts, arrays or frames of them",
        ) from None
