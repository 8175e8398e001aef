"""Folders for a moment."""

from __future__ import annotations

from pathlib import Path

from shipway.oci.scratch import scratch


def test_it_is_gone_at_the_end_and_so_is_what_a_killed_hub_left(tmp_path: Path) -> None:
    (tmp_path / "scratch-dead").mkdir()
    (tmp_path / "scratch-dead" / "half").write_bytes(b"half")
    (tmp_path / "blobs").mkdir()
    with scratch(tmp_path) as mine, scratch(tmp_path) as others:
        assert mine.is_dir() and others.is_dir() and mine != others
        assert not (tmp_path / "scratch-dead").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["blobs"]
