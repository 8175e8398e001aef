"""How each server wants to be asked, and how it says its answer. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_TOLERANCE = 1e-4  # of floating-point answers: a batch may add up in another order than a row
_VARIANTS = 64  # ways in which one right answer was written


@dataclass(frozen=True, slots=True)
class Message:
    """An HTTP request without its address."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)

    def raw(self) -> bytes:
        """The bytes on the wire (RFC 9112)."""
        lines = [f"POST {self.path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Dialect = Callable[[Array, int], Message]
"""One row (with its leading dimension of 1) and its number become a request."""


def plain(path: str = "/predict") -> Dialect:
    """``{"input": [[...]]}``: what LitServe, BentoML and Ray Serve are asked."""

    def ask(row: Array, _number: int) -> Message:
        return Message(path, _json({"input": row.tolist()}))

    return ask


def v2_json(output: str) -> Dialect:
    """Open Inference Protocol, JSON; ``id`` is given, for a server that finds none makes up another every time."""

    def ask(row: Array, number: int) -> Message:
        tensor = {"name": "input", "shape": row.shape, "datatype": datatype(row), "data": row.ravel().tolist()}
        return Message(
            "/v2/models/bench/infer", _json({"id": f"r{number}", "inputs": [tensor], "outputs": [{"name": output}]})
        )

    return ask


def v2_binary(output: str, *, binary_answer: bool = False) -> Dialect:
    """Open Inference Protocol, binary tensor extension."""

    def ask(row: Array, number: int) -> Message:
        data = row.tobytes()
        tensor = {
            "name": "input",
            "shape": row.shape,
            "datatype": datatype(row),
            "parameters": {"binary_data_size": len(data)},
        }
        wanted: dict[str, Any] = {"name": output, "parameters": {"binary_data": binary_answer}}
        head = _json({"id": f"r{number}", "inputs": [tensor], "outputs": [wanted]})
        headers = (("content-type", "application/octet-stream"), ("inference-header-content-length", str(len(head))))
        return Message("/v2/models/bench/infer", head + data, headers)

    return ask


def datatype(array: Array) -> str:
    """The protocol's name: FP32, FP64, INT64."""
    return f"{'FP' if array.dtype.kind == 'f' else 'INT'}{array.dtype.itemsize * 8}"


def read(body: bytes) -> list[float]:
    """The numbers of the first output, flat. Raises ValueError, KeyError or IndexError for what is no answer."""
    document, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))  # a byte is a character: bytes may follow
    if not isinstance(document, dict):
        return _flat(document)
    if "outputs" not in document:
        return _flat(document["output"])
    tensor = document["outputs"][0]
    if "data" in tensor:
        return _flat(tensor["data"])
    kind = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8"}[tensor["datatype"]]
    found: list[float] = np.frombuffer(body, kind, offset=end).tolist()
    return found


@dataclass(slots=True)
class Exam:
    """The right answers, and the bodies that were seen to say them: the next one like it needs no reading."""

    answers: Sequence[Array]
    read: Callable[[bytes], list[float]] = read
    _expected: list[list[float]] = field(init=False)
    _known: list[set[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._expected = [_flat(one) for one in self.answers]
        self._known = [set() for _ in self.answers]

    def right(self, number: int, body: bytes) -> bool:
        """Whether this is the model's answer to that row."""
        if body in self._known[number]:
            return True
        try:
            correct = _close(self.read(body), self._expected[number])
        except (ValueError, KeyError, IndexError, TypeError):
            return False
        if correct and len(self._known[number]) < _VARIANTS:
            self._known[number].add(body)
        return correct


def _close(given: list[float], expected: list[float]) -> bool:
    return len(given) == len(expected) and all(
        abs(one - other) <= _TOLERANCE * max(1.0, abs(other)) for one, other in zip(given, expected, strict=True)
    )


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _flat(data: Any) -> list[float]:
    found: list[float] = np.asarray(data, dtype=np.float64).ravel().tolist()
    return found
