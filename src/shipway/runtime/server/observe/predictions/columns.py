"""Predictions as columns of Arrow, one line for each row of a request.

Drift is asked by column and canaries are compared by (id, row), so neither has to unpack a request first. A row of a
tensor of shape [n] is a number, of [n, 64] a list, of [n, 3, 224] a list of lists; readers need to know nothing of us.
What Parquet readers do not all know is widened without loss: FP16 becomes float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from shipway.runtime.server.calls import Array
from shipway.runtime.server.observe.predictions.prediction import Prediction

_TYPES = {"b": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16"} | {
    "u4": "uint32", "u8": "uint64", "f2": "float32", "f4": "float32", "f8": "float64",
}  # fmt: skip


HEADS = ("time", "id", "row", "model", "version", "workload", "status", "milliseconds", "parameters")


class Column(Struct, frozen=True):
    """``element`` is the name of an Arrow type; ``depth`` how many lists it lies in."""

    name: str
    element: str
    depth: int


Layout = tuple[Column, ...]  # the tensors' columns, in order of their names


def layout(prediction: Prediction) -> Layout:
    """The columns of its tensors."""
    whole = prediction.rows is None
    return tuple(
        Column(name, _element(array), array.ndim - (not whole)) for name, array in sorted(_tensors(prediction).items())
    )


def fits(small: Layout, large: Layout) -> bool:
    """Whether lines of the one can stand among those of the other, with nulls for what they have not: a request that
    failed has no outputs, and a caller may want only some."""
    return set(small) <= set(large)


class Tables:
    """Makes batches of Arrow with the library that is given (``arro3.core``)."""

    def __init__(self, arrow: Any, workload: str) -> None:
        self._arrow = arrow
        self._workload = workload

    def schema(self, columns: Layout) -> Any:
        """All columns of a file."""
        tensors = [(one.name, self._nested(one.element, one.depth)) for one in columns]
        fields = (*self._head_types().items(), *tensors)
        return self._arrow.Schema([self._arrow.Field(name, type_) for name, type_ in fields])

    def batches(self, predictions: Sequence[Prediction], columns: Layout) -> list[Any]:
        """Their lines, all with these columns: one batch for each run of requests of the same shapes."""
        schema = self.schema(columns)
        return [self._batch(list(run), columns, schema) for _, run in groupby(predictions, _shapes)]

    def _head_types(self) -> dict[str, Any]:
        kinds = self._arrow.DataType
        text, double = kinds.utf8(), kinds.float64()
        time = kinds.timestamp("us", tz="UTC")
        return dict(zip(HEADS, (time, text, kinds.int32(), text, text, text, kinds.int16(), double, text), strict=True))

    def _batch(self, run: list[Prediction], columns: Layout, schema: Any) -> Any:
        lines = [(one, row) for one in run for row in _rows(one)]
        micros = np.array([round(one.time * 1e6) for one, _ in lines], dtype=np.int64)
        values: dict[str, Iterable[Any]] = {
            "id": (one.id for one, _ in lines),
            "row": (row for _, row in lines),
            "model": (one.model for one, _ in lines),
            "version": (one.version for one, _ in lines),
            "workload": (self._workload for _ in lines),
            "status": (one.status for one, _ in lines),
            "milliseconds": (one.milliseconds for one, _ in lines),
            "parameters": (_json(one.parameters) for one, _ in lines),
        }
        types = self._head_types()
        arrays = [self._arrow.Array.from_numpy(micros).cast(types["time"])]
        arrays += [self._arrow.Array(list(one), type=types[name]) for name, one in values.items()]
        tensors = [_tensors(one) for one in run]
        for column in columns:
            if column.name in tensors[0]:
                whole = run[0].rows is None
                parts = [one[column.name][np.newaxis] if whole else one[column.name] for one in tensors]
                arrays.append(self._column(np.concatenate(parts), column))
            else:
                arrays.append(self._nulls(column, len(lines)))
        return self._arrow.RecordBatch.from_arrays(arrays, schema=schema)

    def _column(self, array: Array, column: Column) -> Any:
        """An array of shape [lines, ...] as that many values, or lists, or lists of lists."""
        flat = array.reshape(-1)
        if column.element in ("utf8", "binary"):
            texts = [_text(one, column.element) for one in flat.tolist()]
            values = self._arrow.Array(texts, type=self._nested(column.element, 0))
        else:
            values = self._arrow.Array.from_numpy(np.ascontiguousarray(flat, dtype=column.element))
        for depth, size in enumerate(reversed(array.shape[1:])):
            count = math.prod(array.shape[: array.ndim - 1 - depth])
            offsets = self._arrow.Array.from_numpy(np.arange(count + 1, dtype=np.int32) * np.int32(size))
            values = self._arrow.list_array(offsets, values, type=self._nested(column.element, depth + 1))
        return values

    def _nulls(self, column: Column, count: int) -> Any:
        if not column.depth:
            return self._arrow.Array([None] * count, type=self._nested(column.element, 0))
        empty = np.empty((0,) * column.depth, dtype=object if column.element in ("utf8", "binary") else column.element)
        inner = self._column(empty, msgspec.structs.replace(column, depth=column.depth - 1))
        offsets = self._arrow.Array.from_numpy(np.zeros(count + 1, dtype=np.int32))
        mask = self._arrow.Array.from_numpy(np.ones(count, dtype=np.bool_))
        return self._arrow.list_array(offsets, inner, type=self._nested(column.element, column.depth), mask=mask)

    def _nested(self, element: str, depth: int) -> Any:
        kinds = self._arrow.DataType
        type_ = kinds.bool() if element == "bool" else getattr(kinds, element)()
        for _ in range(depth):
            type_ = kinds.list(self._arrow.Field("element", type_))
        return type_


def _tensors(prediction: Prediction) -> dict[str, Array]:
    inputs = {f"inputs.{name}": array for name, array in prediction.inputs.items()}
    return inputs | {f"outputs.{name}": array for name, array in prediction.outputs.items()}


def _shapes(prediction: Prediction) -> tuple[Any, ...]:
    """What requests of one batch have in common."""
    whole = prediction.rows is None
    tensors = sorted(_tensors(prediction).items())
    return whole, tuple((name, array.dtype.str, array.shape[not whole :]) for name, array in tensors)


def _rows(prediction: Prediction) -> Iterable[int | None]:
    return (None,) if prediction.rows is None else range(prediction.rows)


def _element(array: Array) -> str:
    known = _TYPES.get("b" if array.dtype.kind == "b" else array.dtype.str[1:])
    return known or ("binary" if any(isinstance(one, bytes) for one in array.flat) else "utf8")


def _text(one: Any, element: str) -> str | bytes:
    if element == "binary":
        return one if isinstance(one, bytes) else str(one).encode("utf-8", "surrogatepass")
    return str(one).encode("utf-8", "replace").decode()


def _json(parameters: Mapping[str, Any]) -> str | None:
    return msgspec.json.encode(dict(parameters)).decode() if parameters else None
