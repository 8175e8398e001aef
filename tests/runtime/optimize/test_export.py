"""scikit-learn's estimators as ONNX: the same signature, and the same answers where that is so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from shipway.runtime.optimize.compare import Tolerance, compare
from shipway.runtime.optimize.export import CannotExport, sklearn_to_onnx
from shipway.runtime.optimize.measure import timings
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.estimator import estimator_model
from shipway.runtime.server.loading.model import Model, call
from shipway.runtime.server.loading.session import session_model

pytestmark = [
    pytest.mark.extras,
    pytest.mark.slow,
    # skl2onnx and onnx call each other's deprecated names
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def served(estimator: Any, x: Array) -> Model:
    model = estimator_model(estimator, "model")
    return model.learned(call(model, Call({"input": x[:3]})).outputs)


def exported(data: bytes) -> Model:
    import onnxruntime

    return session_model(onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]), "model.onnx")


def digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)  # type: ignore[no-any-return]


def diabetes() -> tuple[Array, Array]:
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True)  # type: ignore[no-any-return]


def trained(name: str) -> tuple[Any, Array]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    text = np.array([f"class {number}" for number in range(10)])
    (xc, yc), (xr, yr) = digits(), diabetes()
    estimator, x, y = {
        "logistic": (LogisticRegression(max_iter=20), xc, yc),
        "text labels": (LogisticRegression(max_iter=20), xc, text[yc]),
        "pipeline": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=20)), xc, yc),
        "forest": (RandomForestClassifier(10, random_state=0), xc, yc),
        "no probabilities": (LinearSVC(max_iter=20), xc, yc),
        "linear": (LinearRegression(), xr, yr),
        "two targets": (Ridge(), xr, np.c_[yr, -yr]),
        "forest regressor": (RandomForestRegressor(20, random_state=0), xr, yr),
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # twenty steps are not enough for them
        return estimator.fit(x, y), x


@pytest.mark.parametrize(
    "name", ["logistic", "text labels", "pipeline", "forest", "no probabilities", "linear", "two targets"]
)
def test_the_same_signature_and_the_same_answers(name: str) -> None:
    estimator, x = trained(name)
    original = served(estimator, x)
    optimized = exported(sklearn_to_onnx(estimator, original.signature, {"input": x}))
    assert optimized.signature == original.signature
    differences = compare(call(original, Call({"input": x})).outputs, call(optimized, Call({"input": x})).outputs)
    assert all(one.within(Tolerance()) for one in differences), [str(one) for one in differences]


def test_single_precision_that_changes_a_tree_is_seen() -> None:
    """The thresholds of scikit-learn's trees are doubles; onnxruntime's are floats, and rows near one go elsewhere."""
    estimator, x = trained("forest regressor")
    original = served(estimator, x)
    optimized = exported(sklearn_to_onnx(estimator, original.signature, {"input": x}))
    (difference,) = compare(call(original, Call({"input": x})).outputs, call(optimized, Call({"input": x})).outputs)
    assert difference.differing > 10 and difference.largest > 1.0


def test_what_has_no_onnx_form_is_named() -> None:
    from sklearn.base import BaseEstimator

    class Own(BaseEstimator):  # type: ignore[misc]
        n_features_in_ = 2

        def predict(self, x: Array) -> Array:
            return x[:, 0]

    own = Own()
    with pytest.raises(CannotExport, match=r"Own: .*Unable to find a shape calculator"):
        sklearn_to_onnx(own, served(own, np.zeros((3, 2))).signature, {})


def test_timings_tell_the_slow_from_the_fast() -> None:
    def slow(inputs: Any) -> Any:
        return [np.sort(inputs["x"]) for _ in range(50)]

    def fast(inputs: Any) -> Any:
        return inputs["x"]

    one, many = timings(slow, fast, {"x": np.arange(12.0).reshape(3, 4)}, (1, 8))
    assert (one.rows, many.rows) == (1, 8)
    assert one.gain > 2 and many.gain > 2
