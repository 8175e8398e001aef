"""A request and its answer as a model sees them, whatever protocol brought them. Frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = str | int | float | bool
Parameters = Mapping[str, Scalar]


class Call(Struct, frozen=True, eq=False):
    """What is asked of a model. The arrays are read-only views where they can be: never write into them.

    ``wanted``: names of outputs, none means all. ``parameters`` are those of the request. ``expires`` is a time of
    ``time.monotonic()``: work that has not begun by then is not begun any more. How the caller takes the answer:
    ``binary``: as bytes instead of JSON, all outputs, none, or those named; ``columns``: by output instead of by row
    (V1).
    """

    inputs: Mapping[str, Array]
    wanted: tuple[str, ...] = ()
    parameters: Parameters = {}
    id: str | None = None
    expires: float = math.inf
    binary: bool | frozenset[str] = False
    columns: bool = False

    @property
    def rows(self) -> int:
        """The first dimension of the first input that has one; 1 where none has."""
        for array in self.inputs.values():
            if array.ndim:
                rows: int = array.shape[0]
                return rows
        return 1


class Answer(Struct, frozen=True, eq=False):
    """Outputs by name. ``seconds`` is what the model took, for the whole batch that this call was part of; ``began``
    is when it started, of ``time.monotonic()``: the same for all calls of a batch, 0 where nobody looked."""

    outputs: Mapping[str, Array]
    rows: int = 1
    seconds: float = 0.0
    parameters: Parameters = {}
    began: float = 0.0
