"""Fixtures: a place of wheels, and a workshop that makes layers of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.made_layers import Counting, Workshop
from tests.image.made_wheels import Place


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv's, shared: it remembers what it asked of our Python."""
    return tmp_path_factory.mktemp("uv")


@pytest.fixture
def place(tmp_path: Path, uv_cache: Path) -> Place:
    return Place.at(tmp_path, uv_cache)


@pytest.fixture
def workshop(tmp_path: Path, place: Place) -> Workshop:
    return Workshop(tmp_path / "home", Counting(place))
