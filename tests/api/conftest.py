"""Fixtures: a served API over fakes (see served_hub.py)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.served_hub import Hub, served


@pytest.fixture(scope="module")
def shared() -> Iterator[Hub]:
    """One served API for a whole module: starting and ending one costs a quarter of a second."""
    with tempfile.TemporaryDirectory(prefix="shipway-") as folder, served(Path(folder)) as hub:
        yield hub


@pytest.fixture
def hub(shared: Hub) -> Hub:
    """The module's API over empty fakes."""
    fresh = Hub(shared.socket, shared.port)
    shared.app.state.backend = fresh.backend()
    shared.app.state.stop.clear()
    fresh.app, fresh.loop = shared.app, shared.loop
    return fresh
