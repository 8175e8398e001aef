"""Versions leave the home as files, and as other tools read them."""

from __future__ import annotations

import asyncio
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers.operations.requests import ExportRequest
from shipway.errors import NotFound, Refused, UserError
from shipway.oci import Layout
from tests.controllers.operations.conftest import Home

FILES = {"model_onnx": b"weights", "labels_txt": b"a\nb\n"}


def export(home: Home, path: Path, ref: str = "champion", **options: Any) -> dict[str, Any]:
    asked = ExportRequest(path=str(path), **options)
    return dict(asyncio.run(home.transfers.export("digits", ref, asked, home.report)))


@pytest.fixture
def trained(home: Home) -> Home:
    asyncio.run(home.trained(**FILES))
    return home


def contents(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_the_files_are_what_they_were(trained: Home, tmp_path: Path) -> None:
    written = export(trained, tmp_path / "out")
    assert contents(tmp_path / "out") == {"model.onnx": b"weights", "labels.txt": b"a\nb\n"}
    assert (written["version"], written["form"], written["bytes"]) == (1, "files", 11)
    assert {one.name for one in tmp_path.iterdir()} == {"one", "out"}


def test_what_is_there_is_replaced_only_by_force_and_the_rest_stays(trained: Home, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_bytes(b"mine")
    (tmp_path / "out" / "model.onnx").write_bytes(b"old")
    with pytest.raises(Refused, match="not an empty folder") as error:
        export(trained, tmp_path / "out")
    assert "--force" in error.value.next_step
    export(trained, tmp_path / "out", force=True)
    assert contents(tmp_path / "out")["mine.txt"] == b"mine"
    assert contents(tmp_path / "out")["model.onnx"] == b"weights"


def test_an_empty_folder_is_filled(trained: Home, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export(trained, tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 2


def test_what_a_killed_export_left_is_taken_away(trained: Home, tmp_path: Path) -> None:
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "half").write_bytes(b"half")
    export(trained, tmp_path / "out")
    assert "half" not in contents(tmp_path / "out")
    assert not (tmp_path / ".out.part").exists()


def test_a_layout_has_the_version_whole_and_nothing_that_only_this_home_knows(trained: Home, tmp_path: Path) -> None:
    trained.versions.mark_pushed("digits", 1, "r.example/digits:1@sha256:" + "0" * 64)
    export(trained, tmp_path / "layout", form="layout")
    export(trained, tmp_path / "layout", form="layout")
    entry = Layout(tmp_path / "layout").tags()["digits:1"]
    assert entry.digest == trained.versions.numbers("digits")[1].digest
    assert "r.example" not in (tmp_path / "layout" / "index.json").read_text()


def test_a_layout_keeps_what_it_has_and_no_other_version_of_that_name_is_replaced(
    trained: Home, other: Home, tmp_path: Path
) -> None:
    export(trained, tmp_path / "layout", form="layout")
    asyncio.run(other.trained(model_onnx=b"others"))
    with pytest.raises(Refused, match="has another digits:1"):
        export(other, tmp_path / "layout", form="layout")
    export(other, tmp_path / "layout", form="layout", force=True)
    assert Layout(tmp_path / "layout").tags()["digits:1"].digest == other.versions.numbers("digits")[1].digest


def test_a_folder_of_something_else_does_not_become_a_layout(trained: Home, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(Refused, match="no OCI layout"):
        export(trained, tmp_path / "photos", form="layout")
    assert [one.name for one in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_an_archive_is_a_layout_in_a_tar_and_equal_when_made_again(trained: Home, tmp_path: Path) -> None:
    export(trained, tmp_path / "a.tar", form="archive")
    export(trained, tmp_path / "b.tar", form="archive")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        tar.extractall(tmp_path / "layout", filter="data")
    assert "digits:1" in Layout(tmp_path / "layout").tags()
    with pytest.raises(Refused, match="is there"):
        export(trained, tmp_path / "a.tar", form="archive")
    export(trained, tmp_path / "a.tar", form="archive", force=True)


def test_what_cannot_be_written_is_told(trained: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        export(trained, tmp_path / "no" / "out")
    with pytest.raises(UserError, match="cannot be written"):
        export(trained, Path("/"))
    with pytest.raises(NotFound):
        export(trained, tmp_path / "out", ref="7")


@pytest.mark.realtool
@pytest.mark.slow
def test_skopeo_reads_both(trained: Home, tmp_path: Path) -> None:
    export(trained, tmp_path / "layout", form="layout")
    export(trained, tmp_path / "a.tar", form="archive")
    for source in (f"oci:{tmp_path}/layout:digits:1", f"oci-archive:{tmp_path}/a.tar"):
        # Without --preserve-digests: skopeo 1.9 writes every index anew, and loses its artifactType.
        copy = ["skopeo", "--insecure-policy", "copy", "--all", source, f"oci:{tmp_path}/copy:x"]
        done = subprocess.run(copy, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_an_export_into_a_home_that_has_the_version_takes_nothing_from_it(home: Home) -> None:
    """What a home says of its version, that it was trained there for example, stands in the entry of the tag."""
    asyncio.run(home.trained("digits", model_pkl=b"weights"))
    asked = ExportRequest(path=str(home.layout.root), form="layout")
    asyncio.run(home.transfers.export("digits", "1", asked, home.report))
    [version] = home.versions.list("digits")
    assert (version.origin, version.fingerprint) == ("job", "f")
