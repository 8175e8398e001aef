"""A server process with everything switched on: what a request leaves on stdout, on disk and at a collector."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.conftest import Digits, Served
from tests.runtime.observe.collector import attributes, collector

pytestmark = [pytest.mark.slow, pytest.mark.extras]

INFER = "/v2/models/digits/infer"


@contextlib.contextmanager
def _server(folder: Path, digits: Digits, version: str, settings: Mapping[str, object], **env: str) -> Iterator[Served]:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir()
    variables = {
        "PORT": str(port),
        "SHIPWAY_MODEL_DIR": str(digits.folder),
        "SHIPWAY_MODEL_NAME": "digits",
        "SHIPWAY_MODEL_VERSION": version,
        "SHIPWAY_WORKLOAD": f"digits-{version}",
        "SHIPWAY_ALLOW_PICKLE": "1",
        "SHIPWAY_SERVER": json.dumps(settings),
        "SHIPWAY_DATA_DIR": str(folder / "data"),
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "stdout").open("w") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-m", "shipway.runtime.server"],
            env={**os.environ, **variables, **env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        yield Served(process, port)
    finally:
        process.kill()
        process.communicate()


def _ask(server: Served, digits: Digits, id_: str, row: int, **headers: str) -> dict[str, Any]:
    data = digits.x[row : row + 2]
    tensor = {"name": "input", "datatype": "FP64", "shape": data.shape, "data": data.tolist()}
    status, answer = server.ask("POST", INFER, {"id": id_, "inputs": [tensor]}, headers)
    assert status == 200, answer
    assert isinstance(answer, dict)
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]).tolist() for one in answer["outputs"]}


def _end(server: Served) -> str:
    server.process.send_signal(signal.SIGTERM)
    code, stderr = server.end()
    assert code == 0, stderr
    return stderr


def _predictions(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    files = sorted((folder / "data/predictions/digits").glob("*.parquet"))
    return [row for file in files for row in pyarrow.parquet.ParquetFile(file).read().to_pylist()]


def test_two_versions_log_the_same_requests_exactly(tmp_path: Path, digits: Digits) -> None:
    wanted = {"predictionLog": {"sample": 0.5}}
    answers: dict[str, dict[str, Any]] = {}
    for version in ("1", "2"):
        with _server(tmp_path / version, digits, version, wanted) as server:
            server.wait()
            for row in range(40):
                answers[f"id-{row}"] = _ask(server, digits, f"id-{row}", row)
            _end(server)
    first, second = _predictions(tmp_path / "1"), _predictions(tmp_path / "2")
    assert {one["id"] for one in first} == {one["id"] for one in second}
    assert 10 < len({one["id"] for one in first}) < 30
    assert ({one["version"] for one in first}, {one["workload"] for one in second}) == ({"1"}, {"digits-2"})
    for one in (*first, *second):
        number, line = int(one["id"].removeprefix("id-")), one["row"]
        assert one["inputs.input"] == digits.x[number + line].tolist()
        assert one["outputs.label"] == answers[one["id"]]["label"][line]
        assert one["outputs.probabilities"] == answers[one["id"]]["probabilities"][line]


def test_access_log_traces_and_metrics(tmp_path: Path, digits: Digits) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    trace = "0af7651916cd43dd8448eb211c80319c"
    with (
        collector() as receiver,
        _server(
            tmp_path / "s",
            digits,
            "1",
            {"accessLog": True, "traceSample": 1},
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        ) as server,
    ):
        server.wait()
        _ask(server, digits, "a", 0, traceparent=f"00-{trace}-b7ad6b7169203331-01")
        assert server.ask("POST", INFER, {"inputs": []})[0] == 400
        assert server.ask("POST", "/v2/models/none/infer", {"inputs": []})[0] == 404
        families = {one.name: one.samples for one in text_string_to_metric_families(server.ask("GET", "/metrics")[1])}
        _end(server)
    lines = [json.loads(line) for line in (tmp_path / "s/stdout").read_text().splitlines()]
    assert [(one["status"], one["model"], one["id"]) for one in lines] == [
        (200, "digits", "a"),
        (400, "digits", None),
        (404, None, None),
    ]
    assert (lines[0]["trace_id"], lines[0]["rows"]) == (trace, 2)
    assert 0 < lines[0]["compute_ms"] < lines[0]["ms"]
    spans = {span.name: span for span in receiver.spans if span.trace_id.hex() == trace}
    assert sorted(spans) == [f"POST {INFER}", "batch", "compute", "queue"]
    assert attributes(spans[f"POST {INFER}"])["http.response.status_code"] == 200
    codes = {(one.labels["model"], one.labels["code"]): one.value for one in families["shipway_requests"]}
    assert codes == {("digits", "200"): 1, ("digits", "400"): 1, ("", "404"): 1}
    phases = {one.labels["phase"]: one.value for one in families["shipway_cold_start_seconds"]}
    assert list(phases) == ["import", "open", "warm-up", "first-answer"]
    assert list(phases.values()) == sorted(phases.values())
    assert phases["import"] > 0
    rows = {one.name: one.value for one in families["shipway_batch_rows"]}
    assert rows["shipway_batch_rows_sum"] == 2


def test_a_server_that_is_killed_leaves_no_file_that_readers_trip_over(tmp_path: Path, digits: Digits) -> None:
    with _server(tmp_path / "s", digits, "1", {"predictionLog": {"sample": 1}}) as server:
        server.wait()
        _ask(server, digits, "a", 0)
        server.process.kill()
        server.process.wait()
    assert _predictions(tmp_path / "s") == []


def test_without_a_folder_it_says_what_is_missing(tmp_path: Path, digits: Digits) -> None:
    with _server(tmp_path / "s", digits, "1", {"predictionLog": {"sample": 1}}, SHIPWAY_DATA_DIR="") as server:
        code, stderr = server.end()
    assert code == 3
    assert (
        stderr.splitlines()[-1] == "predictionLog.sample is 1, and SHIPWAY_DATA_DIR, the folder for the log, is not set"
    )
