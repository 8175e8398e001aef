"""Label and probabilities of one calculation: bit for bit the estimator's own, or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.estimator import estimator_model
from shipway.runtime.server.loading.model import call
from shipway.runtime.server.loading.one_pass import one_pass
from tests.runtime.conftest import Digits

ESTIMATORS = (
    LogisticRegression(tol=0.01),
    LogisticRegression(tol=0.01, fit_intercept=False),
    DecisionTreeClassifier(max_depth=4, random_state=0),
    RandomForestClassifier(5, max_depth=4, random_state=0),
    ExtraTreesClassifier(5, max_depth=4, random_state=0),
    BaggingClassifier(n_estimators=3, random_state=0),
)


def _same(row: Any) -> Any:
    return row


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_it_is_what_predict_and_predict_proba_give(estimator: Any) -> None:
    x, y = load_digits(return_X_y=True)
    x /= 16
    estimator.fit(x, y)
    assert one_pass(estimator, 64, _same) is not None
    model = estimator_model(estimator, "m")
    for rows in (x, x[:1], x[::-1][:7]):
        outputs = call(model, Call({"input": rows})).outputs
        assert np.array_equal(outputs["label"], estimator.predict(rows))
        assert np.array_equal(outputs["probabilities"], estimator.predict_proba(rows))


def test_two_classes_with_names() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x /= x.max(axis=0)
    estimator = LogisticRegression().fit(x, np.where(y, "benign", "malignant"))
    both = one_pass(estimator, 30, _same)
    assert both is not None
    found = both(x)
    assert found is not None
    assert np.array_equal(found[0], estimator.predict(x))
    assert np.array_equal(found[1], estimator.predict_proba(x))


class _Other(LogisticRegression):  # type: ignore[misc]
    def predict(self, x: Any) -> Any:
        return super().predict(x)[::-1]


class _Wrong:
    """What passes for a logistic regression and answers otherwise."""

    __module__ = "sklearn.linear_model._logistic"
    __qualname__ = "LogisticRegression"

    def __init__(self, trained: Any) -> None:
        self.coef_, self.intercept_, self.classes_ = trained.coef_, trained.intercept_, trained.classes_
        self.predict = trained.predict

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), len(self.classes_)), 0.1)


def test_a_subclass_and_what_does_not_agree_are_asked_themselves(digits: Digits) -> None:
    other = _Other(tol=0.01).fit(digits.x, digits.model.predict(digits.x))
    assert one_pass(other, 64, _same) is None
    _Wrong.__name__ = _Wrong.__qualname__ = "LogisticRegression"
    assert one_pass(_Wrong(digits.model), 64, _same) is None
    assert one_pass(digits.model, 64, _same) is not None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.full((1, 64), np.nan), "Input X contains NaN"),
        (np.full((2, 64), np.inf), "contains infinity"),
        (np.zeros((0, 64)), r"0 sample\(s\)"),
    ],
)
def test_what_the_estimator_refuses_is_refused_in_its_words(digits: Digits, rows: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        call(estimator_model(digits.model, "m"), Call({"input": rows}))


def test_only_the_label_is_computed_where_only_the_label_is_wanted(digits: Digits) -> None:
    answer = call(estimator_model(digits.model, "m"), Call({"input": digits.x[:2]}, wanted=("label",)))
    assert list(answer.outputs) == ["label"]
