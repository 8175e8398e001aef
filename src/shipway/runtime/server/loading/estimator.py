"""A scikit-learn estimator (or what behaves like one: XGBoost, LightGBM) as a :class:`Model`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.one_pass import one_pass
from shipway.runtime.signature import Signature, Tensor

_INPUT = "input"
# Rooms of scikit-learn whose estimators hold no others: a pipeline may hold a step of the user's own.
_PLAIN = ("sklearn.discriminant_analysis", "sklearn.linear_model", "sklearn.naive_bayes", "sklearn.tree")


def estimator_model(estimator: Any, file: str) -> Model:
    """One input ``input`` of FP64 rows. A classifier gives ``label`` and, where it can, ``probabilities`` (columns
    in the order of ``classes_``); any other estimator gives ``prediction``.

    An estimator that does not know its number of features (a text vectorizer in front) takes any input.
    Raises ModelRefused for an object without ``predict``.
    """
    if not hasattr(estimator, "predict"):
        raise ModelRefused(f"{file} holds a {type(estimator).__name__}, which has no predict")
    features = getattr(estimator, "n_features_in_", None)
    inputs = (Tensor(_INPUT, "FP64", (-1, int(features))),) if features else ()
    methods = _methods(estimator)
    table = _table(estimator)
    both = one_pass(estimator, int(features), table) if features and len(methods) == 2 else None

    def function(call: Call) -> dict[str, Any]:
        if len(call.inputs) != 1:
            raise BadInput(f"one input is expected, got {', '.join(call.inputs)}")
        rows = next(iter(call.inputs.values()))
        try:
            if both is not None and (found := both(rows)) is not None:
                return dict(zip(methods, found, strict=True))
            x = table(rows)
            return {name: method(x) for name, method in methods.items() if not call.wanted or name in call.wanted}
        except ValueError as error:  # types and shapes were checked: it dislikes the values (NaN, no rows)
            raise BadInput(f"{type(estimator).__name__}: {str(error).partition(chr(10))[0]}") from error

    plain = type(estimator).__module__.startswith(_PLAIN)
    return Model(format="scikit-learn", function=function, signature=Signature(inputs), any_thread=plain)


def _methods(estimator: Any) -> dict[str, Callable[[Any], Any]]:
    if not hasattr(estimator, "classes_"):
        return {"prediction": estimator.predict}
    if hasattr(estimator, "predict_proba") and not isinstance(estimator.classes_, list):
        return {"label": estimator.predict, "probabilities": estimator.predict_proba}
    return {"label": estimator.predict}


def _table(estimator: Any) -> Callable[[Array], Any]:
    """What turns an array into what the estimator was trained on: a DataFrame with its columns, if it was one."""
    columns = getattr(estimator, "feature_names_in_", None)
    if columns is None or find_spec("pandas") is None:
        return lambda array: array
    frame = import_module("pandas").DataFrame
    return lambda array: frame(array, columns=columns)
