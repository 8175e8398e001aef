"""In CI a skip for a missing tool is a failure: proved on a made-up test, run by a pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kubernetes.control_plane import missing

CONFTEST = Path(__file__).parents[1] / "conftest.py"

SKIPS = """
import pytest

def test_tool():
    pytest.skip("no skopeo on this machine")

def test_kubernetes():
    pytest.skip({kubernetes!r})

@pytest.mark.xfail(reason="known")
def test_known():
    raise ValueError
"""


def run_pytest(folder: Path, **environment: str) -> str:
    shutil.copy(CONFTEST, folder)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)],
        cwd=folder,
        env={**os.environ, "SHIPWAY_REQUIRE_TOOLS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.thorough
def test_a_skip_is_a_failure_only_where_tools_are_required(tmp_path: Path) -> None:
    # The sentence of tests/kubernetes, whose programs no package registry has, is the one exception.
    (tmp_path / "test_it.py").write_text(SKIPS.format(kubernetes=missing("no-such-program")))
    assert "2 skipped, 1 xfailed" in run_pytest(tmp_path)
    strict = run_pytest(tmp_path, SHIPWAY_REQUIRE_TOOLS="1")
    assert "1 failed, 1 skipped, 1 xfailed" in strict
    assert "no skopeo on this machine" in strict


@pytest.mark.thorough
def test_a_module_that_skips_itself_is_a_failure_too(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('no_such_package')")
    assert "1 skipped" in run_pytest(tmp_path)
    assert "1 error" in run_pytest(tmp_path, SHIPWAY_REQUIRE_TOOLS="1")


@pytest.mark.thorough
def test_a_process_left_behind_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import subprocess\n"
        "def test_leak():\n"
        "    argv = ['sh', '-c', 'echo ready; exec sleep 60']\n"
        "    left = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)\n"
        "    assert left.stdout.readline() == b'ready\\n'\n"
    )
    output = run_pytest(tmp_path)
    assert "processes were left behind" in output, output
    assert "sleep 60" in output, output
