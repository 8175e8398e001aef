"""Triton's own Python client against a server process: what most users of the protocol have."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import Any

import numpy as np
import pytest

from tests.runtime.conftest import Digits, Serve

pytestmark = [pytest.mark.extras, pytest.mark.slow]

ECHO = """
from shipway import Predictor

class Echo(Predictor):
    def predict(self, x):
        return x if isinstance(x, dict) else {"only": x}
"""
COUNT = """
from shipway import Predictor, Signature, Tensor

class Count(Predictor):
    signature = Signature((Tensor("n", "INT64", (1,)),), (Tensor("i", "INT64", (1,)),))

    def predict(self, x):
        for i in range(int(x[0])):
            yield {"i": [i]}
"""


@pytest.fixture
def grpc_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _client(port: int) -> Any:
    triton = pytest.importorskip("tritonclient.grpc")
    return triton.InferenceServerClient(f"127.0.0.1:{port}", channel_args=[("grpc.use_local_subchannel_pool", 1)])


def _input(name: str, array: Any, datatype: str) -> Any:
    one = pytest.importorskip("tritonclient.grpc").InferInput(name, list(array.shape), datatype)
    one.set_data_from_numpy(array)
    return one


def test_digits(serve: Serve, digits: Digits, grpc_port: int) -> None:
    served = serve(digits.folder, SHIPWAY_ALLOW_PICKLE="1", SHIPWAY_GRPC_PORT=str(grpc_port))
    served.wait()
    client = _client(grpc_port)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    metadata = client.get_model_metadata("digits")
    tensor, output = metadata.inputs[0], metadata.outputs[0].name
    rows = digits.x[:20]
    given = _input(tensor.name, rows.astype({"FP64": np.float64, "FP32": np.float32}[tensor.datatype]), tensor.datatype)
    answer = client.infer("digits", [given], model_version="2", request_id="mine")
    assert answer.get_response().id == "mine"
    assert answer.as_numpy(output).tolist() == digits.model.predict(rows).tolist()
    assert 'protocol="grpc",code="OK"} 1' in served.ask("GET", "/metrics")[1]
    served.process.send_signal(signal.SIGTERM)
    assert served.end()[0] == 0


def test_bytes_half_precision_several_inputs_and_outputs_by_name(serve: Serve, grpc_port: int, tmp_path: Any) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    (tmp_path / "echo.py").write_text(ECHO)
    serve(predictor="echo.py:Echo", SHIPWAY_GRPC_PORT=str(grpc_port)).wait()
    client = _client(grpc_port)
    text = np.array([["grün"], [""]], object)
    half = np.array([[0.5], [65504]], np.float16)
    both = [_input("text", text, "BYTES"), _input("half", half, "FP16")]
    answer = client.infer("digits", both, outputs=[triton.InferRequestedOutput("half")])
    assert answer.as_numpy("half").tolist() == half.tolist()
    assert answer.as_numpy("text") is None
    answer = client.infer("digits", both)
    assert [one.decode() for one in answer.as_numpy("text").ravel()] == ["grün", ""]
    with pytest.raises(triton.InferenceServerException, match="unknown model 'other'"):
        client.infer("other", both)
    with pytest.raises(triton.InferenceServerException, match="different numbers of rows"):
        client.infer("digits", [both[0], _input("half", half[:1], "FP16")])


def test_a_stream(serve: Serve, grpc_port: int, tmp_path: Any) -> None:
    (tmp_path / "count.py").write_text(COUNT)
    serve(predictor="count.py:Count", SHIPWAY_GRPC_PORT=str(grpc_port)).wait()
    client = _client(grpc_port)
    seen: list[Any] = []
    client.start_stream(lambda result, error: seen.append((result, error)))
    client.async_stream_infer("digits", [_input("n", np.array([3]), "INT64")], request_id="a")
    client.stop_stream()
    assert [error for _, error in seen] == [None] * 3
    assert [int(result.as_numpy("i")[0]) for result, _ in seen] == [0, 1, 2]
