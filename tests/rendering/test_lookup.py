"""What the home knows: where it pushed images and models, by digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import NotFound
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from shipway.oci.index import Index
from shipway.oci.pushed import with_pushed
from shipway.rendering.lookup import Nowhere, home
from shipway.testing.clock import FakeClock

DIGEST = "sha256:" + "1" * 64


def pushed(root: Path, tag: str, *places: str) -> None:
    layout = Layout(root)
    entry = layout.put_index(Index())
    for place in places:
        entry = with_pushed(entry, place)
    with layout.edit() as edit:
        edit.index = edit.index.with_tag(tag, entry)


def test_an_image_is_where_it_was_pushed_last(tmp_path: Path) -> None:
    pushed(tmp_path / "oci", "image/web:latest", f"ghcr.io/a/web:latest@{DIGEST}", f"quay.io/b/web@{DIGEST}")
    assert home(tmp_path / "oci", None).image("web") == f"quay.io/b/web@{DIGEST}"
    assert home(tmp_path / "oci", None, "ghcr.io/a").image("web") == f"ghcr.io/a/web@{DIGEST}"
    assert home(tmp_path / "oci", None, "docker.io/c").image("web") == ""
    assert home(tmp_path / "oci", None).image("other") == ""


def test_no_home_knows_nothing_and_is_not_made(tmp_path: Path) -> None:
    found = home(tmp_path / "oci", None)
    assert isinstance(found, Nowhere)
    assert (found.image("web"), found.model("digits")) == ("", None)
    assert not (tmp_path / "oci").exists()


def test_a_model_is_the_version_that_was_pushed(tmp_path: Path) -> None:
    versions = Versions(Layout(tmp_path / "oci"), FakeClock())
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "model.onnx").write_bytes(bytes([number]))
        versions.pack("digits", tmp_path / str(number), Lineage(run=f"digits-{number}"))
    known = home(tmp_path / "oci", None)
    assert known.model("digits") is None  # nobody pushed it
    versions.mark_pushed("digits", 1, f"ghcr.io/team/digits:1@{DIGEST}")
    found = known.model("digits:1")
    assert found is not None
    assert (found.resolved.version, found.reference) == (1, f"ghcr.io/team/digits@{DIGEST}")
    assert found.resolved.digest == versions.list("digits", (1,))[0].digest
    with pytest.raises(NotFound, match="digits:7: this home has no such version"):
        known.model("digits:7")
    assert known.model("other") is None
