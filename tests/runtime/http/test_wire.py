"""What real sockets do to a real server: half requests, odd ones, clients that hang up or do not read; and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.conftest import Serve, Served

pytestmark = pytest.mark.slow

SLOW = """
import time
from shipway import Predictor

class Slow(Predictor):
    def load(self, model_dir): pass
    def predict(self, x):
        time.sleep(float(x[0]))
        return x
"""
STREAM = """
import numpy as np
from shipway import Predictor

class Many(Predictor):
    def load(self, model_dir): pass
    def predict(self, x):
        for number in range(int(x[0])):
            yield np.full(20_000, float(number))
"""
THREAD = '{"isolation": "thread"}'
MODEL = 'model="digits",version="2"'


@pytest.fixture
def slow(serve: Serve, tmp_path: Path) -> Served:
    (tmp_path / "p.py").write_text(SLOW)
    server = serve(None, "p.py:Slow", SHIPWAY_SERVER=THREAD)
    server.wait()
    return server


def test_odd_requests_get_an_answer(slow: Served) -> None:
    body = b'{"input": [0]}'
    good = b"200"
    for head, sent, status in (
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n", body, good),
        (b"POST /predict HTTP/1.0\r\ncontent-length: 14\r\n\r\n", body, good),
        (b"POST http://elsewhere/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n", body, good),
        (b"POST /predict?x=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n", body, good),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\nx-request-id: \xff\xfe\r\ncontent-length: 14\r\n\r\n", body, good),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\nx-a: 1\r\nX-A: 2\r\ncontent-length: 14\r\n\r\n", body, good),
        (
            b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n",
            b"e\r\n" + body + b"\r\n0\r\n\r\n",
            good,
        ),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\n\r\n", b"", b"400"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b"", b"400"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", b"", b"400"),
        (b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\ncontent-length: 15\r\n\r\n", body, b"400"),
        (b"POST /%ff%fe HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b"", b"404"),
        (b"PATCH /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b"", b"405"),
        (b"BREW /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", b"", b"400"),
        (b"nonsense\r\n\r\n", b"", b"400"),
    ):
        with socket.create_connection(("127.0.0.1", slow.port), timeout=20) as client:
            client.sendall(head + sent)
            assert client.recv(4096).split(b" ")[1] == status, head


def test_an_expectation_is_met_before_the_body_is_sent(slow: Served) -> None:
    with socket.create_connection(("127.0.0.1", slow.port), timeout=20) as client:
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
        client.sendall(head % 14)
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue")
        client.sendall(b'{"input": [0]}')
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")
    with socket.create_connection(("127.0.0.1", slow.port), timeout=20) as client:
        client.sendall(head % 2**40)
        assert client.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_curl(slow: Served) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    url = f"http://127.0.0.1:{slow.port}/predict"
    asked = [curl, "-s", "--http2", "-w", "%{http_code}/%{http_version}", "-d", '{"input": [0]}', url]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == '{"output":[0]}200/1.1'
    gone = subprocess.run(
        [*asked[:-3], "-m", "0.3", "-d", '{"input": [1]}', url], capture_output=True, timeout=20, check=False
    )
    assert gone.returncode == 28
    _until(slow, lambda: _count(slow, f"cancelled_total{{{MODEL}}}") == 1)


def test_half_requests_and_clients_that_hang_up_leave_nothing(slow: Served) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 19\r\n\r\n"
    body = b'{"input": [0.0001]}'
    before = _resident(slow)
    for number in range(300):
        with socket.create_connection(("127.0.0.1", slow.port)) as client:
            client.sendall((head + body)[: 20 + number * 7 % (len(head + body) - 20)] if number % 2 else head + body)
            if number % 3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # RST
    _until(slow, lambda: slow.ask("GET", "/shipway/state")[1]["inFlight"] == 0)
    assert slow.ask("GET", "/shipway/state")[1]["models"][0]["pending"] == 0
    assert slow.ask("POST", "/predict", {"input": [0]})[0] == 200
    _until(slow, lambda: len(list(Path(f"/proc/{slow.process.pid}/fd").iterdir())) < 60)
    assert len(list(Path(f"/proc/{slow.process.pid}/task").iterdir())) < 30
    assert _resident(slow) - before < 20e6


def test_the_work_of_who_goes_away_is_not_done(slow: Served) -> None:
    with _asking(slow, 1.0) as first:
        with _asking(slow, 30.0):
            _until(slow, lambda: slow.ask("GET", "/shipway/state")[1]["models"][0]["pending"] == 2)
        _until(slow, lambda: slow.ask("GET", "/shipway/state")[1]["models"][0]["pending"] == 1)
        assert json.load(first.getresponse()) == {"output": [1.0]}
    assert slow.ask("POST", "/predict", {"input": [0]})[0] == 200


def test_a_reader_who_does_not_read_stops_the_generator(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(STREAM)
    server = serve(None, "p.py:Many", SHIPWAY_SERVER=THREAD)
    server.wait()
    before = _resident(server)
    connection = server.connect()
    connection.request("POST", "/predict", json.dumps({"input": [1000]}), {"accept": "text/event-stream"})
    response = connection.getresponse()
    time.sleep(1.5)
    assert _resident(server) - before < 30e6, "what nobody reads is kept in memory: all of it would be 100 MB"
    assert server.ask("GET", "/shipway/state")[1]["inFlight"] == 1
    connection.close()
    response.close()
    _until(server, lambda: server.ask("GET", "/shipway/state")[1]["inFlight"] == 0)
    status, answer = server.ask("POST", "/predict", {"input": [3]}, {"accept": "text/event-stream"})
    assert (status, answer.count("data: {"), answer.endswith("event: end\ndata: {}\n\n")) == (200, 4, True)


def test_no_request_is_lost_when_the_server_ends_under_load(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(SLOW)
    server = serve(None, "p.py:Slow", SHIPWAY_SERVER='{"isolation": "thread", "drainDelay": 0.5}')
    server.wait()
    answered: list[int] = []
    lost: list[Exception] = []
    threads = [threading.Thread(target=_load, args=(server, answered, lost)) for _ in range(6)]
    for thread in threads:
        thread.start()
    _until(server, lambda: len(answered) > 50)
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join(20)
    assert (lost, set(answered)) == ([], {200})
    assert server.end()[0] == 0


def test_half_requests_do_not_hold_up_the_end(slow: Served) -> None:
    with contextlib.ExitStack() as clients:
        for sent in (b"POST /pre", b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 16\r\n\r\n{"):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", slow.port)))
            client.sendall(sent)
        assert slow.ask("GET", "/v2")[0] == 200  # later than what the others sent
        slow.process.send_signal(signal.SIGTERM)
        assert slow.end()[0] == 0


def _load(server: Served, answered: list[int], lost: list[Exception]) -> None:
    """One keep-alive client, until it is told to go elsewhere, as a load balancer would."""
    closes = False
    connection = server.connect()
    try:
        while not closes:
            connection.request("POST", "/predict", b'{"input": [0.001]}')
            response = connection.getresponse()
            response.read()
            answered.append(response.status)
            closes = response.headers.get("connection") == "close"
    except (OSError, http.client.HTTPException) as error:
        lost.append(error)
    connection.close()


@contextlib.contextmanager
def _asking(server: Served, seconds: float) -> Iterator[http.client.HTTPConnection]:
    connection = server.connect()
    connection.request("POST", "/predict", json.dumps({"input": [seconds]}))
    yield connection
    connection.close()


def _until(server: Served, holds: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        assert server.process.poll() is None
        time.sleep(0.02)


def _count(server: Served, name: str) -> int:
    text = server.ask("GET", "/metrics")[1]
    return next((int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"shipway_{name}")), 0)


def _resident(server: Served) -> float:
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * 4096.0
