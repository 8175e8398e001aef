"""Label and probabilities of one calculation, where ``predict`` and ``predict_proba`` make the same one.

Used only where both give bit for bit what the estimator's own two methods give, which is tried at loading.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from shipway.runtime.server.calls import Array

Both = tuple[Array, Array]
OnePass = Callable[[Array], Both | None]  # None: ask the estimator itself

# Their ``predict`` is the class of the largest of ``predict_proba``; by exact type, for a subclass may override either.
_BY_PROBABILITIES = frozenset(
    {
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._bagging.BaggingClassifier",
    }
)
_LOGISTIC = "sklearn.linear_model._logistic.LogisticRegression"
_ROWS = 8  # that are tried


def one_pass(estimator: Any, features: int, table: Callable[[Array], Any]) -> OnePass | None:
    """From FP64 rows to labels and probabilities, or None where there is no such short cut.

    ``table`` makes of rows what the estimator was trained on. A logistic regression takes 12 us for a row of 64 in
    place of 175 (scikit-learn 1.9), most of which was checking what the door has checked; a forest half its time.
    """
    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    if kind in _BY_PROBABILITIES:
        found = _by_probabilities(estimator, table)
    elif kind == _LOGISTIC and isinstance(estimator.coef_, np.ndarray):
        found = _logistic(estimator)
    else:
        return None
    rows = np.random.default_rng(0).normal(scale=3.0, size=(_ROWS, features))
    return found if all(_agrees(found, estimator, table, one) for one in (rows, rows[:1])) else None


def _agrees(found: OnePass, estimator: Any, table: Callable[[Array], Any], rows: Array) -> bool:
    both = found(rows)
    if both is None:
        return False
    own = estimator.predict(table(rows)), estimator.predict_proba(table(rows))
    return all(np.array_equal(one, other) for one, other in zip(both, own, strict=True))


def _by_probabilities(estimator: Any, table: Callable[[Array], Any]) -> OnePass:
    def both(rows: Array) -> Both:
        probabilities = estimator.predict_proba(table(rows))
        return estimator.classes_.take(probabilities.argmax(axis=1)), probabilities

    return both


def _logistic(estimator: Any) -> OnePass:
    """Scores are ``X w + b``; two classes: sigmoid and its rest, more: softmax (sklearn.linear_model,
    LogisticRegression: "decision_function" and "predict_proba")."""
    weights, bias, classes = estimator.coef_.T, estimator.intercept_, estimator.classes_
    sigmoid = import_module("scipy.special").expit if len(classes) == 2 else None

    def both(rows: Array) -> Both | None:
        with np.errstate(all="ignore"):  # infinity: it is found below
            scores = rows @ weights + bias
        if not len(rows) or not math.isfinite(scores.sum()):
            return None  # no rows, NaN: the estimator says best what it dislikes
        if sigmoid is not None:
            ones = sigmoid(scores[:, 0])
            return classes.take(scores[:, 0] > 0), np.vstack([1 - ones, ones]).T
        labels = classes.take(scores.argmax(axis=1))
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return labels, scores

    return both
