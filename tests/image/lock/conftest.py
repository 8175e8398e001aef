"""Folders of wheels, with one cache of uv for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.lock.made import Place


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def place(tmp_path: Path, uv_cache: Path) -> Place:
    return Place.at(tmp_path, uv_cache)
