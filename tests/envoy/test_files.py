from __future__ import annotations

from pathlib import Path

import pytest

from shipway.envoy import files


def test_write_is_whole_private_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "new" / "x.json"
    files.write(target, "one")
    files.write(target, "två")
    assert files.read(target) == "två"
    assert [path.name for path in target.parent.iterdir()] == ["x.json"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.parent.stat().st_mode & 0o777 == 0o700


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    files.write(target, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write(target, "\ud800")
    assert files.read(target) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    assert files.write_changed(tmp_path, {"a": "1", "b/c": "2"})
    before = (tmp_path / "a").stat().st_ino
    assert not files.write_changed(tmp_path, {"a": "1", "b/c": "2"})
    assert files.write_changed(tmp_path, {"a": "1", "b/c": "3"})
    assert (tmp_path / "a").stat().st_ino == before
    assert files.write_changed(tmp_path, {"a": "1"}, again=True)
    assert (tmp_path / "a").stat().st_ino != before


def test_keep_only(tmp_path: Path) -> None:
    files.write_changed(tmp_path, {"a": "1", "b": "2"})
    files.keep_only(tmp_path, ["b", "c"])
    files.keep_only(tmp_path / "missing", [])
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert files.read(tmp_path / "a") is None
