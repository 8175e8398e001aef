"""Commands run in this process, against a hub of canned answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipway import settings
from shipway.cli.main import run
from tests.cli.fake_hub import FakeHub, running


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Shipway = Callable[..., Ended]


@pytest.fixture
def shipway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shipway:
    """Run a command in a home of its own."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))

    def call(*words: str | Path) -> Ended:
        capsys.readouterr()
        code = run([str(one) for one in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def hub(shipway: Shipway) -> Iterator[FakeHub]:
    """A hub for the home of ``shipway``."""
    with running(settings.read().hub_socket) as fake:
        yield fake
