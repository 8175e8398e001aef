"""Triton's own Python client against a server process: what most users of the protocol have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.extras, pytest.mark.slow]

ECHO = """
from shipway import Predictor

class Echo(Predictor):
    def predict(self, x):
        return x if isinstance(x, dict) else {"only": x}
"""
TYPED = """
import numpy as np
from shipway import Predictor, Signature, Tensor

class Typed(Predictor):
    signature = Signature(
        (Tensor("brain", "BF16", (-1, 2)),),
        (Tensor("brain", "BF16", (-1, 2)), Tensor("half", "FP16", (-1, 2)), Tensor("image", "BYTES", (-1,))),
    )

    def predict(self, x):
        image = np.array([b"\\xff\\xd8"] * len(x), object)
        return {"brain": x * 3, "half": x.astype(np.float16) / 3, "image": image}
"""
VALUES: dict[str, np.ndarray[Any, Any]] = {
    "BOOL": np.array([[True], [False]]),
    **{f"{sign}INT{bits}": np.array([[1], [2**7 - 1]], f"{sign}int{bits}".lower())
       for sign in ("", "U") for bits in (8, 16, 32, 64)},
    "FP16": np.array([[0.1], [65504]], np.float16),
    "FP32": np.array([[0.1], [np.float32(1e30)]], np.float32),
    "FP64": np.array([[0.1], [1e300]]),
    "BYTES": np.array([["a"], ["ü"]], object),
}  # fmt: skip


@pytest.fixture
def http() -> Any:
    """The client's module: it needs gevent, which warns of its own threads when it is imported."""
    return pytest.importorskip("tritonclient.http")


@pytest.fixture
def echo(serve: Any, tmp_path: Path, http: Any) -> Iterator[Any]:
    """A client of a server that answers what it is asked."""
    yield from _client(serve, tmp_path, http, ECHO, "Echo")


@pytest.fixture
def typed(serve: Any, tmp_path: Path, http: Any) -> Iterator[Any]:
    """A client of a server whose model takes and gives halves and bytes."""
    yield from _client(serve, tmp_path, http, TYPED, "Typed")


def _client(serve: Any, folder: Path, http: Any, code: str, name: str) -> Iterator[Any]:
    (folder / "predictor.py").write_text(code)
    served = serve(predictor=f"predictor.py:{name}")
    served.wait()
    client = http.InferenceServerClient(f"127.0.0.1:{served.port}")
    yield client
    client.close()


def _input(http: Any, name: str, datatype: str, array: Any, *, binary: bool = True) -> Any:
    tensor = http.InferInput(name, list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def _same(result: Any, name: str, array: Any) -> bool:
    got = result.as_numpy(name)
    if array.dtype == object:  # the client gives bytes from binary answers and str from JSON
        got = np.array([one.decode() if isinstance(one, bytes) else one for one in got.flat], object)
        return bool((got == array.ravel()).all())
    return got.dtype == array.dtype and bool(np.array_equal(got, array))


def test_every_datatype_goes_in_and_out(http: Any, echo: Any) -> None:
    for binary in (True, False):
        known = {name: array for name, array in VALUES.items() if binary or name != "FP16"}
        inputs = [_input(http, name, name, array, binary=binary) for name, array in known.items()]
        for answered in (True, False):
            outputs = [http.InferRequestedOutput(name, binary_data=answered) for name in reversed(known)]
            result = echo.infer("digits", inputs, outputs=outputs, request_id="7")
            response = result.get_response()
            assert response["id"] == "7" and response["model_version"] == "2"
            assert [one["name"] for one in response["outputs"]] == list(reversed(known))
            for name, array in known.items():
                expected = array.astype(np.float32) if name == "FP16" and not answered else array
                assert _same(result, name, expected), (name, binary, answered)


def test_inputs_in_json_and_binary_outputs_by_default_and_by_name(http: Any, echo: Any) -> None:
    inputs = [
        _input(http, "a", "FP32", VALUES["FP32"], binary=False),
        _input(http, "b", "BYTES", VALUES["BYTES"]),
        _input(http, "c", "INT64", VALUES["INT64"]),
    ]
    result = echo.infer("digits", inputs)  # the client then asks for all in binary
    assert {one["name"] for one in result.get_response()["outputs"]} == {"a", "b", "c"}
    assert all("binary_data_size" in one["parameters"] for one in result.get_response()["outputs"])
    outputs = [http.InferRequestedOutput("c", binary_data=True), http.InferRequestedOutput("a", binary_data=False)]
    result = echo.infer("digits", inputs, outputs=outputs)
    assert [one["name"] for one in result.get_response()["outputs"]] == ["c", "a"]
    assert _same(result, "c", VALUES["INT64"]) and _same(result, "a", VALUES["FP32"])
    assert result.as_numpy("b") is None


def test_odd_shapes_and_large_ones(http: Any, echo: Any) -> None:
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    for array in (image, np.zeros((0, 4), np.float32), np.zeros((2, 0, 3), np.float32)):
        result = echo.infer("digits", [_input(http, "x", "FP32", array)])
        assert result.as_numpy("only").shape == array.shape and _same(result, "only", array)


def test_a_request_that_is_made_by_hand(http: Any, echo: Any) -> None:
    body, length = http.InferenceServerClient.generate_request_body([_input(http, "x", "FP64", VALUES["FP64"])])
    response = echo._post("v2/models/digits/infer", body, {"Inference-Header-Content-Length": length}, None)
    size = int(response["inference-header-content-length"])
    result = http.InferenceServerClient.parse_response_body(response.read(), header_length=size)
    assert _same(result, "only", VALUES["FP64"])


def test_halves_bytes_and_raw_bodies(http: Any, typed: Any) -> None:
    values = np.array([[1, 2], [-0.5, 256]], np.float32)
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    result = typed.infer("digits", [_input(http, "brain", "BF16", values.astype(bfloat16))])
    assert result.as_numpy("brain").tolist() == (values * 3).tolist()
    assert result.as_numpy("half").tolist() == (values.astype(np.float16) / 3).tolist()
    assert result.as_numpy("image").tolist() == [b"\xff\xd8"] * 2
    raw = values.astype(bfloat16).tobytes()
    response = typed._post("v2/models/digits/infer", raw, {"Inference-Header-Content-Length": 0}, None)
    size = int(response["inference-header-content-length"])
    result = http.InferenceServerClient.parse_response_body(response.read(), header_length=size)
    assert result.as_numpy("brain").tolist() == (values * 3).tolist()


def test_refusals_reach_the_client(http: Any, typed: Any) -> None:
    failure = pytest.importorskip("tritonclient.utils").InferenceServerException
    one = np.ones((1, 2), np.float32)
    with pytest.raises(failure, match="FP32 given where BF16 is expected"):
        typed.infer("digits", [_input(http, "brain", "FP32", one)])
    brain = _input(http, "brain", "BF16", one.astype(pytest.importorskip("ml_dtypes").bfloat16))
    with pytest.raises(failure, match="ask for it in binary"):
        typed.infer("digits", [brain], outputs=[http.InferRequestedOutput("image", binary_data=False)])
    with pytest.raises(failure, match="classification is not supported"):
        typed.infer("digits", [brain], outputs=[http.InferRequestedOutput("half", class_count=2)])
    with pytest.raises(failure, match="unknown output 'nope'"):
        typed.infer("digits", [brain], outputs=[http.InferRequestedOutput("nope")])
