"""The same wheels make the same layers in other places, for other users, and after a kill at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from shipway.oci import Layout
from tests.image.packages.building import build

ROOT = Path(__file__).parents[3]
PLAIN = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
ODD = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}


def start(
    root: Path, uv_cache: Path, environ: Mapping[str, str], prefix: Sequence[str] = (), umask: int = 0o022
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.image.packages.building", str(root), str(uv_cache), "zstd"],
        env={**os.environ, **environ},
        cwd=ROOT,
        umask=umask,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )


def digests(process: subprocess.Popen[str]) -> list[str]:
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return said.split("\n")[:-1]


@pytest.mark.thorough
def test_in_other_places(tmp_path: Path, uv_cache: Path) -> None:
    """Another folder, umask, locale, time zone and hash seed; and times of files, which uv sets to now."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "a folder elsewhere").mkdir()
    plain = start(tmp_path / "plain", uv_cache, PLAIN)
    odd = start(tmp_path / "a folder elsewhere", tmp_path / "another cache of uv", ODD, umask=0o077)
    expected = digests(plain)
    assert len(expected) == 2
    assert digests(odd) == expected


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
def test_after_a_kill_at_any_moment(tmp_path: Path, uv_cache: Path, seed: int) -> None:
    """Killed with -9 again and again, with uv and all: what is then made is what an undisturbed process makes, and
    nothing is left that is in the way of anybody."""
    (tmp_path / "calm").mkdir()
    expected = build(tmp_path / "calm", uv_cache, "zstd")
    moments, root = random.Random(seed), tmp_path / "killed"
    root.mkdir()
    for _ in range(4):
        process = start(root, uv_cache, PLAIN)
        time.sleep(moments.uniform(0.2, 1.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert build(root, uv_cache, "zstd") == expected
    home = root / "home"
    assert not list((home / "room").iterdir())
    Layout(home / "oci")
    assert not list((home / "oci/tmp").iterdir())


@pytest.mark.thorough
def test_two_at_once(tmp_path: Path, uv_cache: Path) -> None:
    """In one home: neither disturbs the other."""
    (tmp_path / "home").mkdir()
    several = [start(tmp_path / "home", uv_cache, PLAIN) for _ in range(3)]
    found = [digests(one) for one in several]
    assert found[0] == found[1] == found[2] != []
