"""Whether two models give the same answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shipway.runtime.server.calls import Array


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far floating point answers may be apart: ``|a - b| <= atol + rtol * |a|`` (NumPy's ``isclose``); all else
    (labels, integers, text) must be equal. ``share``: which part of the rows may differ by more, for quantized models.
    The defaults are what single precision loses in a few hundred additions."""

    rtol: float = 1e-4
    atol: float = 1e-5
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One output of both: how many of its rows differ, and by how much at most (floating point only)."""

    output: str
    rows: int
    differing: int
    largest: float = 0.0
    problem: str = ""  # when they cannot be compared at all

    def within(self, tolerance: Tolerance) -> bool:
        """Whether no more rows differ than may."""
        return not self.problem and self.differing <= tolerance.share * self.rows

    def __str__(self) -> str:
        if self.problem:
            return f"{self.output}: {self.problem}"
        apart = f", at most {self.largest:.2g} apart" if self.largest else ""
        return f"{self.output}: {self.differing} of {self.rows} rows differ{apart}"


def compare(
    original: Mapping[str, Array], other: Mapping[str, Array], tolerance: Tolerance = Tolerance()
) -> tuple[Difference, ...]:
    """Each output of the original beside the same output of the other one, for the same rows."""
    return tuple(
        _difference(name, expected, other[name], tolerance)
        if name in other
        else Difference(name, len(expected), len(expected), problem="it is missing")
        for name, expected in original.items()
    )


def _difference(name: str, expected: Array, given: Array, tolerance: Tolerance) -> Difference:
    rows = expected.shape[0] if expected.ndim else 1
    if expected.shape != given.shape:
        return Difference(name, rows, rows, problem=f"shape {list(given.shape)} in place of {list(expected.shape)}")
    if expected.dtype.kind != given.dtype.kind:
        return Difference(name, rows, rows, problem=f"{given.dtype} in place of {expected.dtype}")
    if expected.dtype.kind != "f":
        same, largest = expected == given, 0.0
    else:
        same = np.isclose(given, expected, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            apart = np.abs(given.astype(np.float64) - expected.astype(np.float64))
        largest = float(np.max(apart, initial=0.0, where=np.isfinite(apart)))
    per_row = np.asarray(same).reshape(rows, -1).all(axis=1) if rows else np.ones(0, bool)
    return Difference(name, rows, int(np.count_nonzero(~per_row)), largest)
