"""Debian's docker-registry as a process of the test."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(slots=True)
class DockerRegistry:
    """One registry on a free port; ``kill`` and ``start`` as often as a test likes, over the same folder."""

    folder: Path
    deletes: bool = True
    htpasswd: Path | None = None  # who may come, and their passwords' bcrypt hashes; None: everybody
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def start(self) -> None:
        """Returns when it answers."""
        self.port = self.port or _free_port()
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "storage")},
                "delete": {"enabled": self.deletes},
            },
            "http": {"addr": self.host},
        }
        if self.htpasswd:
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(self.htpasswd)}}
        path = self.folder / "config.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        with (self.folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(path)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        give_up = time.monotonic() + 30.0
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < give_up, "docker-registry does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self.host, timeout=5.0)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def docker_registry(folder: Path, *, deletes: bool = True, htpasswd: Path | None = None) -> Iterator[DockerRegistry]:
    """A running registry; skips (in CI: fails) where Debian's package is missing."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed")
    registry = DockerRegistry(folder, deletes, htpasswd)
    registry.start()
    try:
        yield registry
    finally:
        registry.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
