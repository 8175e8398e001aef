"""A served API over fakes as the home's hub, and a client of each colour."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.served_hub import Hub, served
from tests.sdk.clients import COLOURS, client


@pytest.fixture(scope="module")
def served_home() -> Iterator[Hub]:
    """One served API for a module: starting and ending one costs a quarter of a second."""
    with tempfile.TemporaryDirectory(prefix="shw-", dir="/tmp") as folder, served(Path(folder)) as hub:
        yield hub


@pytest.fixture
def hub(served_home: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The module's API over empty fakes, as the hub of this home."""
    fresh = Hub(served_home.socket, served_home.port)
    served_home.app.state.backend = fresh.backend()
    fresh.app, fresh.loop = served_home.app, served_home.loop
    monkeypatch.setenv("SHIPWAY_HOME", str(served_home.socket.parent.parent))
    return fresh


@pytest.fixture(params=COLOURS)
def client_of_home(request: pytest.FixtureRequest, hub: Hub) -> Iterator[Any]:
    """A client of the home's hub, of each colour; it starts no hub."""
    with client(request.param, start=False) as made:
        yield made
