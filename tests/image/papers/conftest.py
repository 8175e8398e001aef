from __future__ import annotations

from pathlib import Path

import pytest

from shipway.oci import Layout
from tests.image.papers.images import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(Layout(tmp_path / "home" / "oci"))
