"""What stands between a command and the figures that are published of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.images.rival import pinned
from bench.images.tree import taken

PARENT = """
import subprocess, sys
subprocess.run([sys.executable, '-c', 'import time; held = bytearray(64 << 20); time.sleep(0.3)'])
"""

LOCK = """
lock-version = "1.0"
[[packages]]
name = "flask"
version = "3.1.3"
wheels = [{ name = "flask-3.1.3-py3-none-any.whl", hashes = { sha256 = "ab" } }]
"""


@pytest.mark.slow
def test_the_memory_of_a_child_counts() -> None:
    said = taken([sys.executable, "-c", PARENT], memory=True)
    assert 64 << 20 < said.peak < 200 << 20
    assert said.seconds > 0.3


def test_what_a_command_says_is_told_when_it_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="ended with 3:\nout of luck"):
        taken(["sh", "-c", "echo out of luck; exit 3"])
    assert capfd.readouterr().out == ""


def test_a_lock_is_told_to_the_rival_with_hashes(tmp_path: Path) -> None:
    (tmp_path / "pylock.web.toml").write_text(LOCK)
    assert list(pinned(tmp_path / "pylock.web.toml")) == ["flask==3.1.3 --hash=sha256:ab"]
