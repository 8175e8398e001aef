"""The runtime body: the part of Shipway that runs inside a workload, for environments where Shipway is not installed.

A folder ``BODIES/<hash>/shipway/`` with ``__init__.py`` and ``runtime/`` and nothing else, for ``PYTHONPATH``. Our
whole site-packages must not go there: it would put our own dependencies before the user's.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from shipway.bundle import Environment

PACKAGE = Path(__file__).parents[1]  # the folder of the shipway package that runs now


def body_requirements(environment: Environment, package: Path = PACKAGE) -> tuple[str, ...]:
    """What the body needs beside itself in that environment, none where it has no body: the lines of
    ``runtime/requirements.txt``, and of ``requirements-FEATURE.txt`` for each feature."""
    if not environment.runtime:
        return ()
    names = ("requirements.txt", *(f"requirements-{one}.txt" for one in environment.features))
    lines = [line for name in names for line in (package / "runtime" / name).read_text("utf-8").splitlines()]
    stripped = (line.partition("#")[0].strip() for line in lines)
    return tuple(line for line in stripped if line)


def make_body(bodies: Path, package: Path = PACKAGE) -> Path:
    """The folder to put on ``PYTHONPATH``: named by its content, made once, never changed.

    A workload that runs keeps the body that it started with when Shipway is upgraded under it.
    """
    files = {name: (package / name).read_bytes() for name in body_files(package)}
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    target = bodies / digest.hexdigest()[:24]
    if not target.is_dir():
        _write(files, target)
    return target


def body_files(package: Path = PACKAGE) -> tuple[str, ...]:
    """The names of the body's files below the package's folder, sorted."""
    return ("__init__.py", *(f"runtime/{name}" for name in package_files(package / "runtime")))


def package_files(package: Path = PACKAGE) -> tuple[str, ...]:
    """The names of all files of the package, sorted; what Python leaves beside them is none."""
    paths = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return tuple(sorted(path.relative_to(package).as_posix() for path in paths))


def _write(files: dict[str, bytes], target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=target.parent, prefix=".making-"))
    try:
        for name, content in files.items():
            path = making / "shipway" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        making.rename(target)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)
        # Somebody else made the same one meanwhile: a folder that is not empty cannot be renamed over.
        if not target.is_dir():
            raise
