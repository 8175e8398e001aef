"""Requests as a server would have seen them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shipway.runtime.server.calls import Answer, Array, Call, Parameters
from shipway.runtime.server.observe.metrics import ModelMetrics
from shipway.runtime.server.observe.request import Observed


def seen(
    inputs: Mapping[str, Array] | None = None,
    outputs: Mapping[str, Array] | None = None,
    *,
    model: str = "digits",
    version: str = "1",
    id_: str | None = None,
    headers: Mapping[str, str] | None = None,
    parameters: Parameters | None = None,
    code: int | str = 200,
    began: float = 100.002,
    protocol: str = "http",
) -> Observed:
    """One that came at 100 s of the monotonic clock and took 10 ms: 2 in the queue, 5 in the model, 1 to be decoded."""
    one = Observed(protocol, "POST", f"/v2/models/{model}/infer", dict(headers or {}), 100.0)
    one.metrics = ModelMetrics(model, version)
    one.received, one.sent, one.code = 11, 22, code
    given = {"x": np.arange(6.0).reshape(2, 3)} if inputs is None else inputs
    one.call = Call(given, id=id_, parameters=parameters or {})
    one.decoded_at = 100.001
    if outputs is not None or code in (200, "OK"):
        answer = Answer({"y": np.array([1, 2])} if outputs is None else outputs, 2, 0.005, began=began)
        one.answer, one.answered_at = answer, 100.009
    one.ended = 100.010
    return one
