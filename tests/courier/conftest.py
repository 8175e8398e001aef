"""What the courier's tests share: the client speaks HTTP with this machine, and loads no certificates for that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.testing.registry import FakeRegistry


@pytest.fixture(scope="package", autouse=True)
def _no_certificates() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What a job left."""
    folder = tmp_path / "output"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 9000)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "er" / "empty").touch()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder
