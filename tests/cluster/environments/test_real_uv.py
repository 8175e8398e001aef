"""The real uv, with this machine's own pip configuration and the package index."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest
from uv import find_uv_bin

from shipway.bundle import Environment
from shipway.cluster.local.environments import UvEnvironments
from shipway.errors import DependencyFailed
from shipway.packages.pip_reader import PipReader

pytestmark = pytest.mark.slow


def _environments(folder: Path, **pip: str) -> UvEnvironments:
    inherited = {**os.environ, **pip}
    return UvEnvironments(
        root=folder / "environments",
        bodies=folder / "bodies",
        uv=Path(find_uv_bin()),
        pip=PipReader(inherited),
        inherited=inherited,
    )


def test_an_environment_imports_what_was_asked_for_and_shipways_facade(tmp_path: Path) -> None:
    # Not the version that pytest brings: our own interpreter must not have it.
    made = _environments(tmp_path).build(Environment(("iniconfig==2.0.0", "six==1.17.0"), runtime=True))
    code = "import iniconfig, six, shipway, httptools, msgspec; print(six.__version__, shipway.__file__)"
    environ = {"PYTHONPATH": ":".join(made.python_path)}
    shown = subprocess.run([made.python, "-c", code], env=environ, capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["1.17.0", f"{made.python_path[0]}/shipway/__init__.py"]
    lock = (made.python.parent.parent / "lock.txt").read_text().splitlines()
    assert {"iniconfig==2.0.0", "six==1.17.0"} <= set(lock)
    assert not any(line.startswith(("shipway", "pydantic")) for line in lock)


def test_a_requirement_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DependencyFailed, match=r"^requirement six==0\.0\.1 cannot be found\n"):
        _environments(tmp_path).build(Environment(("six==0.0.1",), runtime=False))


def _wheel(folder: Path, version: str) -> None:
    """As torch's: on the index with its CUDA packages, beside it a local build of the same version without them."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"bigframe-{version}.dist-info"
    needs = "" if version.endswith("+cpu") else "Requires-Dist: nvidia-bigframe==1.0\n"
    with ZipFile(folder / f"bigframe-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("bigframe.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: bigframe\nVersion: {version}\n{needs}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def test_a_local_wheel_of_find_links_wins_over_the_index_as_with_pip(tmp_path: Path) -> None:
    _wheel(tmp_path / "wheels", "1.0+cpu")
    index = tmp_path / "simple" / "bigframe"
    _wheel(index, "1.0")
    (index / "index.html").write_text('<a href="bigframe-1.0-py3-none-any.whl">bigframe-1.0-py3-none-any.whl</a>')
    index_url = f"file://{index.parent}"
    pip = {"PIP_FIND_LINKS": str(tmp_path / "wheels"), "PIP_INDEX_URL": index_url, "PIP_CONFIG_FILE": os.devnull}
    made = _environments(tmp_path, **pip).build(Environment(("bigframe==1.0",), runtime=False))
    assert (made.python.parent.parent / "lock.txt").read_text() == "bigframe==1.0+cpu\n"
