"""Formats whose libraries Shipway does not depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.formats import find, open_model
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import Model, call
from shipway.runtime.server.settings import Settings
from shipway.runtime.signature import Tensor
from tests.runtime.conftest import Digits, Serve

pytestmark = [pytest.mark.extras, pytest.mark.slow]


def _linear_onnx(folder: Path, weights: Any, bias: Any) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "linear",
        [helper.make_tensor_value_info("x", kind.FLOAT, ["rows", weights.shape[0]])],
        [
            helper.make_tensor_value_info("label", kind.INT64, ["rows"]),
            helper.make_tensor_value_info("scores", kind.FLOAT, ["rows", weights.shape[1]]),
        ],
        [
            onnx.numpy_helper.from_array(weights.astype(np.float32), "w"),
            onnx.numpy_helper.from_array(bias.astype(np.float32), "b"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(folder / "model.onnx"))


@pytest.fixture
def linear(tmp_path: Path, digits: Digits) -> Model:
    _linear_onnx(tmp_path, digits.model.coef_.T, digits.model.intercept_)
    return load(Settings(model_dir=tmp_path))


def test_onnx_declares_its_own_signature(linear: Model, digits: Digits) -> None:
    assert linear.signature.inputs == (Tensor("x", "FP32", (-1, 64)),)
    assert linear.signature.outputs == (Tensor("label", "INT64", (-1,)), Tensor("scores", "FP32", (-1, 10)))
    x = digits.x.astype(np.float32)
    assert (call(linear, Call({"x": x})).outputs["label"] == digits.model.predict(digits.x)).mean() > 0.999
    assert list(call(linear, Call({"x": x[:2]}, wanted=("scores",))).outputs) == ["scores"]


def test_what_onnxruntime_calls_an_invalid_argument_is_the_callers(linear: Model) -> None:
    with pytest.raises(BadInput, match="invalid dimensions"):
        call(linear, Call({"x": np.zeros((1, 3), np.float32)}))


def test_arrays_may_lie_anyhow(linear: Model, digits: Digits) -> None:
    x = digits.x[:5].astype(np.float32)
    expected = call(linear, Call({"x": x})).outputs["scores"]
    misaligned = np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape)
    assert not misaligned.flags.aligned
    assert not misaligned.flags.writeable
    for one in (misaligned, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2]):
        assert np.array_equal(call(linear, Call({"x": one})).outputs["scores"], expected)
    assert call(linear, Call({"x": x[:0]})).outputs["scores"].shape == (0, 10)


def test_an_input_that_is_missing_or_unknown_is_the_callers_fault(linear: Model) -> None:
    with pytest.raises(BadInput, match=r"the model takes x FP32 \[-1, 64\], and got nothing"):
        call(linear, Call({}))
    with pytest.raises(BadInput, match="y"):
        call(linear, Call({"y": np.zeros((1, 64), np.float32)}))
    with pytest.raises(BadInput, match="nope"):
        call(linear, Call({"x": np.zeros((1, 64), np.float32)}, wanted=("nope",)))


def test_a_session_keeps_to_its_threads(tmp_path: Path, digits: Digits) -> None:
    _linear_onnx(tmp_path, digits.model.coef_.T, digits.model.intercept_)
    session = open_model(find(tmp_path), allow_pickle=False, threads=3)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert "AzureExecutionProvider" not in session.get_providers()


def test_a_graph_that_gives_no_tensors_is_refused_with_a_hint(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(kind.FLOAT, ["rows"]))
    graph = helper.make_graph(
        [helper.make_node("SequenceConstruct", ["x"], ["parts"])],
        "sequence",
        [helper.make_tensor_value_info("x", kind.FLOAT, ["rows"])],
        [helper.make_value_info("parts", sequence)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "model.onnx"))
    with pytest.raises(ModelRefused, match=r"'parts' is a seq\(tensor\(float\)\).*zipmap=False"):
        load(Settings(model_dir=tmp_path))


def test_an_onnx_file_is_served(serve: Serve, tmp_path: Path, digits: Digits) -> None:
    _linear_onnx(tmp_path, digits.model.coef_.T, digits.model.intercept_)
    server = serve(tmp_path)
    server.wait()
    status, answer = server.ask("POST", "/predict", {"input": digits.x[:9].tolist()})
    assert (status, answer["output"]["label"]) == (200, digits.model.predict(digits.x[:9]).tolist())
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 64], "data": [0] * 64}
    status, answer = server.ask("POST", "/v2/models/digits/infer", {"inputs": [tensor]})
    assert (status, answer["error"][:51]) == (400, "input 'x': datatype FP64 given where FP32 is expected"[:51])


def test_an_onnx_file_that_is_cut_off_is_refused(tmp_path: Path, digits: Digits) -> None:
    _linear_onnx(tmp_path, digits.model.coef_.T, digits.model.intercept_)
    file = tmp_path / "model.onnx"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ModelRefused, match=r"model\.onnx \(200 bytes\) is cut off or damaged"):
        load(Settings(model_dir=tmp_path))


def test_skops_needs_no_permission_for_what_it_knows(tmp_path: Path, digits: Digits) -> None:
    pytest.importorskip("skops.io").dump(digits.model, tmp_path / "model.skops")
    model = load(Settings(model_dir=tmp_path))
    assert (
        call(model, Call({"input": digits.x[:3]})).outputs["label"].tolist()
        == digits.model.predict(digits.x[:3]).tolist()
    )


class _Own:
    def predict(self, x: Any) -> Any:
        return x


def test_skops_asks_for_what_it_does_not_know(tmp_path: Path) -> None:
    pytest.importorskip("skops.io").dump(_Own(), tmp_path / "model.skops")
    with pytest.raises(ModelRefused, match=r"holds types that skops does not know to be safe .*_Own"):
        open_model(find(tmp_path), allow_pickle=False)
    assert open_model(find(tmp_path), allow_pickle=True).predict(3) == 3
