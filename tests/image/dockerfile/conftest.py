from __future__ import annotations

from pathlib import Path

import pytest

from shipway.oci import Layout
from tests.image.dockerfile.kitchen import Kitchen, Pantry


@pytest.fixture(scope="session")
def pantry(tmp_path_factory: pytest.TempPathFactory) -> Pantry:
    return Pantry(Layout(tmp_path_factory.mktemp("pantry") / "oci"))


@pytest.fixture
def kitchen(tmp_path: Path, pantry: Pantry) -> Kitchen:
    return Kitchen(tmp_path, pantry)
