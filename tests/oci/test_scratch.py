"""Folders for a moment."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from tempfile import mkdtemp

import pytest

from shipway.oci.scratch import scratch


def test_a_new_folder_that_another_process_takes_for_a_dead_ones_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    theirs: list[int] = []

    def found_at_once(prefix: str, dir: Path) -> str:
        made.append(Path(mkdtemp(prefix=prefix, dir=dir)))
        if len(made) == 1:
            made[0].rmdir()
        if len(made) == 2:
            theirs.append(os.open(made[1], os.O_RDONLY))
            fcntl.flock(theirs[0], fcntl.LOCK_EX)
        return str(made[-1])

    monkeypatch.setattr("shipway.oci.scratch.mkdtemp", found_at_once)
    with scratch(tmp_path) as mine:
        assert mine == made[2]
    os.close(theirs[0])


def test_it_is_gone_at_the_end_and_so_is_what_a_killed_hub_left(tmp_path: Path) -> None:
    (tmp_path / "scratch-dead").mkdir()
    (tmp_path / "scratch-dead" / "half").write_bytes(b"half")
    (tmp_path / "blobs").mkdir()
    with scratch(tmp_path) as mine, scratch(tmp_path) as others:
        assert mine.is_dir() and others.is_dir() and mine != others
        assert not (tmp_path / "scratch-dead").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["blobs"]
