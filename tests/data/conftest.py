"""Data sets over a real layout in a folder of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.data import Access, DataSets, ObjectStores
from shipway.oci import Layout
from shipway.testing.clock import FakeClock


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


@pytest.fixture
def sets(layout: Layout) -> DataSets:
    return DataSets(layout, FakeClock(), ObjectStores(Access({}, lambda name: {})))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files: small, empty, and one below a folder."""
    made = tmp_path / "raw"
    (made / "deep").mkdir(parents=True)
    (made / "a.csv").write_text("1,2\n")
    (made / "empty").write_bytes(b"")
    (made / "deep" / "b.csv").write_text("3,4\n")
    return made
