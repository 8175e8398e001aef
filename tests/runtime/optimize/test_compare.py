"""Same answers, or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shipway.runtime.optimize.compare import Tolerance, compare

NAN, INF = float("nan"), float("inf")


def array(values: Any, dtype: Any = None) -> Any:
    return np.array(values, dtype=dtype)


@pytest.mark.parametrize(
    ("original", "other"),
    [
        (array([0.1, 0.2]), array([0.1 + 9e-6, 0.2])),
        (array([1e6]), array([1e6 + 99])),
        (array([NAN, INF, -INF]), array([NAN, INF, -INF])),
        (array(["a", "b"], object), array(["a", "b"], object)),
        (array([1, 2]), array([1, 2])),
        (array([[1.0], [2.0]], np.float32), array([[1.0], [2.0]], np.float64)),
        (array([]), array([])),
        (array([[], []]), array([[], []])),
        (array(3.0), array(3.0)),
    ],
)
def test_the_same(original: Any, other: Any) -> None:
    (difference,) = compare({"y": original}, {"y": other, "more": other})
    assert difference.within(Tolerance()), str(difference)


@pytest.mark.parametrize(
    ("original", "other", "words"),
    [
        (array([0.1, 0.2, 0.3]), array([0.1, 0.3, 0.3]), "y: 1 of 3 rows differ, at most 0.1 apart"),
        (array([[1.0, 2.0], [3.0, 4.0]]), array([[1.5, 2.5], [3.0, 4.0]]), "y: 1 of 2 rows differ, at most 0.5 apart"),
        (array([NAN]), array([0.0]), "y: 1 of 1 rows differ"),
        (array([INF]), array([-INF]), "y: 1 of 1 rows differ"),
        (array([1, 2]), array([1, 3]), "y: 1 of 2 rows differ"),
        (array(["a", "b"], object), array(["a", "c"], object), "y: 1 of 2 rows differ"),
        (array([1.0, 2.0]), array([[1.0], [2.0]]), "y: shape [2, 1] in place of [2]"),
        (array([1, 2]), array([1.0, 2.0]), "y: float64 in place of int64"),
    ],
)
def test_not_the_same(original: Any, other: Any, words: str) -> None:
    (difference,) = compare({"y": original}, {"y": other})
    assert not difference.within(Tolerance())
    assert str(difference) == words


def test_an_output_that_is_missing_differs() -> None:
    label, scores = compare({"label": array([1]), "scores": array([[0.5]])}, {"label": array([1])})
    assert label.within(Tolerance()) and not scores.within(Tolerance(share=1.0))
    assert str(scores) == "scores: it is missing"


def test_the_tolerance_is_what_was_said() -> None:
    strict = Tolerance(rtol=0.0, atol=1e-9)
    assert not compare({"y": array([0.1])}, {"y": array([0.1 + 1e-8])}, strict)[0].within(strict)


def test_a_share_of_the_rows_may_differ() -> None:
    (difference,) = compare({"y": array([1, 2, 3, 4])}, {"y": array([1, 2, 3, 5])})
    assert difference.within(Tolerance(share=0.25)) and not difference.within(Tolerance(share=0.24))
