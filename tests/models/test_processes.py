"""Two processes at once, and kill -9 between any two lines: real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shipway.models import Lineage, Versions

PACKER = Path(__file__).with_name("packer.py")
pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "model.onnx").write_bytes(b"weights" * 1000)
    (tmp_path / "output" / "metrics.json").write_bytes(b"{}")
    return tmp_path


def _together(root: Path, *commands: list[str]) -> list[str]:
    """Start all, wait until each is ready, let them go at the same time; what each printed after that."""
    processes = [
        subprocess.Popen([sys.executable, PACKER, root, *command], stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (root / "go").touch()
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def test_two_processes_never_take_one_number(root: Path, versions: Versions) -> None:
    _together(root, ["pack", "left", "15"], ["pack", "right", "15"])
    made = versions.list("digits")
    assert [one.number for one in made] == list(range(1, 31))
    assert {one.run for one in made} == {f"{side}-{number}" for side in ("left", "right") for number in range(15)}


def test_two_processes_that_pack_one_run_make_one_version(root: Path, versions: Versions) -> None:
    _together(root, ["pack", "same", "10"], ["pack", "same", "10"])
    assert [one.run for one in versions.list("digits")] == [f"same-{number}" for number in range(10)]


def test_two_processes_share_one_folder(root: Path, versions: Versions) -> None:
    digest = versions.pack("digits", root / "output", Lineage(run="digits-1")).digest
    left, right = _together(root, ["materialise", digest], ["materialise", digest])
    assert left == right
    assert "model.onnx" in left


@pytest.mark.thorough
def test_kill_9_between_any_two_lines_leaves_all_or_nothing(root: Path) -> None:
    done = subprocess.run([sys.executable, PACKER, root, "kill", "40"], capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)
    assert len(results) == 40
    for one in results:
        assert one["killed"]
        assert one["left"] in ([1], [1, 2])
        assert one["wrong"] == []
        assert one["mended"] == [[1, "run-1"], [2, "run-2"]]
        assert (one["temporaries"], one["parts"]) == (0, 0)
    assert {len(one["left"]) for one in results} == {1, 2}, "some should die before the version is visible, some after"


def test_a_full_disk_leaves_no_version_and_no_folder(root: Path) -> None:
    done = subprocess.run([sys.executable, PACKER, root, "full"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert "cannot write a blob into" in told["packing"]
    assert told["left"] == [[], 0]
    assert "cannot write the files of sha256:" in told["writing"]
    assert (told["made"], told["whole"]) == (1, True)
