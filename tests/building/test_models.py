"""Which version a --model means."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.building.models import found
from shipway.clock import SystemClock
from shipway.errors import NotFound
from shipway.models import Lineage, Versions
from shipway.oci import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "oci")
    versions = Versions(layout, SystemClock())
    for text in ("one", "two"):
        folder = tmp_path / text
        folder.mkdir()
        (folder / "model.onnx").write_text(text)
        versions.pack("digits", folder, Lineage(origin="job", run=text, fingerprint=text, job="digits"))
    versions.remember_aliases("digits", {"champion": 1})
    return layout


@pytest.mark.parametrize(
    ("reference", "number"), [("digits:2", 2), ("digits:champion", 1), ("digits", 1), ("digits:latest", 2)]
)
def test_by_number_by_alias_and_the_champion(layout: Layout, reference: str, number: int) -> None:
    one = found(layout, reference)
    assert one.resolved.version == number
    assert one.version.annotations == {}


@pytest.mark.parametrize("reference", ["digits:3", "digits:none", "digits:0", "digits:²"])
def test_a_version_that_is_not_there(layout: Layout, reference: str) -> None:
    with pytest.raises(NotFound, match=reference) as error:
        found(layout, reference)
    assert error.value.next_step == "It has: digits:1, digits:2."


def test_a_model_that_is_not_there(layout: Layout) -> None:
    with pytest.raises(NotFound) as error:
        found(layout, "other")
    assert "digits" in error.value.next_step
