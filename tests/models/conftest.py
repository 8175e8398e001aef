"""A layout, a clock that stands, and folders of output."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.models import Materials, Versions
from shipway.oci import Layout
from shipway.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """It is always noon."""
    return FakeClock(datetime(2026, 1, 1, 12, tzinfo=UTC))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


@pytest.fixture
def versions(layout: Layout, clock: FakeClock) -> Versions:
    return Versions(layout, clock)


@pytest.fixture
def materials(layout: Layout, tmp_path: Path) -> Materials:
    return Materials(layout, tmp_path / "cache")


@pytest.fixture
def output(tmp_path: Path) -> Callable[..., Path]:
    """``output({"model.joblib": b"..."}, "name")``: a folder with those files."""

    def make(files: dict[str, bytes], name: str = "output") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return make
