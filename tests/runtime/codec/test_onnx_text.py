"""Text for an ONNX model: a string tensor takes text only, and would take the literal of bytes for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Call
from shipway.runtime.server.codec.binary import elements
from shipway.runtime.server.loading.session import session_model

pytestmark = pytest.mark.extras


def _identity() -> Any:
    onnx = pytest.importorskip("onnx")
    text = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.STRING, [None]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "identity", text[:1], text[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    return pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())


def test_an_onnx_model_gets_text_or_nothing() -> None:
    model = session_model(_identity(), "model.onnx")
    text = elements([b"a", "ü".encode()], 2)
    assert np.array_equal(model.function(Call({"x": text}))["y"], text)
    with pytest.raises(BadInput, match="'x' holds bytes that are not UTF-8"):
        model.function(Call({"x": elements([b"a", b"\xff"], 2)}))
