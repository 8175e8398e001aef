"""A real server process for a test, and the small models that it serves."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression


@dataclass
class Served:
    """A server process and how to ask it."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status, and the body as JSON (as text where it is none)."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            is_json = response.headers["content-type"] == "application/json"
            return response.status, json.loads(text) if is_json else text

    def wait(self, path: str = "/v2/health/ready", status: int = 200, seconds: float = 30) -> None:
        """Until the path answers with that status; fails when the process ends first."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.process.communicate()[1]
            with contextlib.suppress(OSError):
                if self.ask("GET", path)[0] == status:
                    return
            time.sleep(0.02)
        raise AssertionError(f"{path} did not answer {status} in {seconds} s")

    def end(self) -> tuple[int, str]:
        """Wait for the process: exit code and stderr."""
        stderr = self.process.communicate(timeout=30)[1]
        return self.process.returncode, stderr


Serve = Callable[..., Served]


@pytest.fixture
def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve(tmp_path: Path, free_port: int) -> Iterator[Serve]:
    """Starts ``python -m shipway.runtime.server`` in ``tmp_path``; kills it after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(model_dir: Path | None = None, predictor: str | None = None, **env: str) -> Served:
        settings = {
            **os.environ,
            "PORT": str(free_port),
            "SHIPWAY_MODEL_NAME": "digits",
            "SHIPWAY_MODEL_VERSION": "2",
            "OMP_NUM_THREADS": "1",
            **({"SHIPWAY_MODEL_DIR": str(model_dir)} if model_dir else {}),
            **({"SHIPWAY_PREDICTOR": predictor} if predictor else {}),
            **env,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "shipway.runtime.server"],
            cwd=tmp_path,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Served(process, free_port)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Digits:
    """A trained model, the file that holds it, and data."""

    folder: Path
    model: Any
    x: Any


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    x, y = load_digits(return_X_y=True)
    model = LogisticRegression(tol=0.01).fit(x / 16, y)
    folder = tmp_path_factory.mktemp("digits")
    joblib.dump(model, folder / "model.joblib")
    return Digits(folder, model, x / 16)
