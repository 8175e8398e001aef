"""A server process, asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.conftest import Digits, Serve, Served

pytestmark = pytest.mark.slow

INFER = "/v2/models/digits/infer"
SLOW = """
import time
from shipway import Predictor

class Slow(Predictor):
    def load(self, model_dir): pass
    def predict(self, x):
        time.sleep(float(x[0]))
        return x
"""


def _tensor(rows: object, **more: object) -> dict[str, object]:
    array = np.asarray(rows, dtype=float)
    tensor = {"name": "input", "datatype": "FP64", "shape": array.shape, "data": array.tolist()}
    return {"inputs": [tensor | more]}


def _outputs(answer: dict[str, object]) -> dict[str, np.ndarray]:
    outputs = answer["outputs"]
    assert isinstance(outputs, list)
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in outputs}


def test_every_answer_is_the_models_own(serve: Serve, digits: Digits) -> None:
    server = serve(digits.folder, SHIPWAY_ALLOW_PICKLE="1")
    server.wait()
    labels, probabilities = digits.model.predict(digits.x), digits.model.predict_proba(digits.x)
    with contextlib.closing(server.connect()) as connection:
        for row in range(0, len(digits.x), 7):
            connection.request("POST", INFER, json.dumps(_tensor(digits.x[row : row + 7]) | {"id": str(row)}))
            answer = json.load(connection.getresponse())
            outputs = _outputs(answer)
            assert (answer["model_name"], answer["model_version"], answer["id"]) == ("digits", "2", str(row))
            assert outputs["label"].tolist() == labels[row : row + 7].tolist()
            assert np.allclose(outputs["probabilities"], probabilities[row : row + 7], rtol=1e-12, atol=0)
    status, plain = server.ask("POST", "/predict", {"input": digits.x.tolist()})
    assert status == 200
    assert plain["output"]["label"] == labels.tolist()
    _check_the_rest(server, digits)


def _check_the_rest(server: Served, digits: Digits) -> None:
    """What would start a server of its own for each line otherwise."""
    row = digits.x[:1].tolist()
    for path in ("/v2", "/v2/", "/v2/health/live", "/v2/models/digits/ready", "/v2/models/digits/versions/2"):
        assert server.ask("GET", path)[0] == 200, path
    assert server.ask("GET", "/v2/models/digits")[1] == {
        "name": "digits",
        "versions": ["2"],
        "platform": "scikit-learn",
        "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 64]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 10]},
        ],
    }
    chosen = server.ask("POST", INFER, _tensor(row) | {"outputs": [{"name": "label"}]})[1]
    assert list(_outputs(chosen)) == ["label"]
    bad: list[tuple[str, str, object, dict[str, str], int, str]] = [
        ("POST", INFER, _tensor([[1, 2]]), {}, 400, "expected inputs: input FP64 [-1, 64]; outputs: label INT64"),
        ("POST", INFER, b"{", {}, 400, "expected inputs"),
        ("POST", INFER, b"", {}, 400, "expected inputs"),
        ("POST", INFER, _tensor([[float("nan")] * 64]), {}, 400, "malformed"),
        ("POST", INFER, json.dumps(_tensor([[1.0] * 64])).replace("1.0", "null").encode(), {}, 400, "NaN"),
        ("POST", INFER, _tensor(np.zeros((0, 64))), {}, 400, "0 sample"),
        ("POST", INFER, _tensor(row) | {"outputs": [{"name": "nope"}]}, {}, 400, "unknown output 'nope'"),
        ("POST", INFER, _tensor(row, name="x"), {}, 400, "unknown input 'x'"),
        ("POST", INFER, b"x", {"inference-header-content-length": "0"}, 400, "FP64"),
        ("POST", INFER, b"x", {"content-encoding": "br"}, 415, "'br'"),
        ("POST", "/predict", {"input": [[1]]}, {}, 400, "expected"),
        ("POST", "/v2/models/cats/infer", _tensor(row), {}, 404, "unknown model 'cats'"),
        ("POST", "/v2/models/digits/versions/9/infer", _tensor(row), {}, 404, "unknown version '9'"),
        ("GET", INFER, None, {}, 405, "takes POST"),
    ]
    for method, path, body, headers, status, words in bad:
        got, answer = server.ask(method, path, body, headers)
        assert (got, list(answer)) == (status, ["error"]), (method, path, answer)
        assert words in answer["error"]
    metrics = server.ask("GET", "/metrics")[1]
    assert 'shipway_requests_total{model="digits",version="2",protocol="http",code="415"} 1\n' in metrics
    assert 'shipway_requests_in_flight{model="digits",version="2"} 0\n' in metrics
    assert 'shipway_model_info{model="digits",version="2",format="scikit-learn"} 1\n' in metrics


def test_a_body_above_the_limit_is_not_read(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW)
    server = serve(None, "p.py:Slow", SHIPWAY_SERVER='{"maxBody": 1024}')
    server.wait()
    assert server.ask("POST", "/predict", b" " * 1025)[0] == 413
    with contextlib.closing(server.connect()) as connection:
        connection.request("POST", "/predict", iter([b" " * 600] * 2), encode_chunked=True)
        assert connection.getresponse().status == 413
    assert server.ask("POST", "/predict", {"input": [0]}) == (200, {"output": [0]})


def test_live_before_the_model_is_loaded_and_during_a_long_call(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW.replace("pass", "time.sleep(0.7)"))
    server = serve(None, "p.py:Slow")
    server.wait("/v2/health/live", seconds=10)
    assert server.ask("GET", "/v2/health/ready")[0] == 503
    assert server.ask("GET", "/v2/models/digits")[0] == 503
    status, answer = server.ask("POST", "/predict", {"input": [0]})
    assert (status, answer["error"]) == (503, "model 'digits' is not ready: the model is being loaded")
    server.wait()
    with _in_flight(server, 1.0) as done:
        for _ in range(10):
            started = time.monotonic()
            assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
            assert time.monotonic() - started < 0.5
        assert not done


def test_sigterm_finishes_what_is_in_flight(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW)
    server = serve(None, "p.py:Slow", SHIPWAY_SERVER='{"drainDelay": 1}')
    server.wait()
    idle = server.connect()
    idle.request("GET", "/v2")
    idle.getresponse().read()
    with _in_flight(server, 2.0) as done:
        server.process.send_signal(signal.SIGTERM)
        server.wait("/v2/health/ready", 503, seconds=5)
        assert server.ask("GET", "/v2/health/live")[0] == 200
        assert not done
    assert done == [(200, {"output": [2.0]})]
    code, stderr = server.end()
    assert code == 0
    assert "Traceback" not in stderr
    idle.close()


def test_sigterm_while_loading_ends_at_once(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW.replace("pass", "time.sleep(60)"))
    server = serve(None, "p.py:Slow")
    server.wait("/v2/health/live")
    server.process.send_signal(signal.SIGTERM)
    assert server.end()[0] == 0


def test_clients_that_hang_up_leave_nothing_behind(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW)
    server = serve(None, "p.py:Slow")
    server.wait()
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\n"
    for sent in (head[:20], head, head + b'{"inp', head + b'{"input": [0.1]}'):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(sent)
            time.sleep(0.02)
    end = time.monotonic() + 5
    while 'requests_in_flight{model="digits",version="2"} 0' not in server.ask("GET", "/metrics")[1]:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert server.ask("POST", "/predict", {"input": [0]})[0] == 200


def test_a_port_that_is_taken_is_said(serve: Serve, free_port: int, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW)
    first = serve(None, "p.py:Slow")
    first.wait()
    code, stderr = serve(None, "p.py:Slow").end()
    assert (code, stderr) == (1, f"cannot listen on 127.0.0.1:{free_port}: Address already in use\n")


@contextlib.contextmanager
def _in_flight(server: Served, seconds: float):  # type: ignore[no-untyped-def]
    """While a request that takes so long is under way; gives the list that its answer is put on."""
    done: list[tuple[int, object]] = []
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/predict", json.dumps({"input": [seconds]}))

    def receive() -> None:
        response = connection.getresponse()
        done.append((response.status, json.load(response)))

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.1)
    yield done
    thread.join()
    connection.close()
