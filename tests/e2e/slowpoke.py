"""Packages whose wheels are built for as long as a test wants, with nothing but the standard library."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

_BACKEND = """
import time, zipfile
from pathlib import Path


def build_wheel(folder, settings=None, metadata=None):
WAIT
    info = "slowpoke-VERSION.dist-info"
    name = "slowpoke-VERSION-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        wheel.writestr("slowpoke.py", "EDITION = int(VERSION)")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: slowpoke\\nVersion: VERSION\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def sdist(folder: Path, wait: str, version: str = "1.0") -> None:
    """``slowpoke-VERSION.tar.gz`` in that folder; ``wait`` are the lines of Python that take the time."""
    folder.mkdir(exist_ok=True)
    lines = "\n".join(f"    {line}" for line in wait.splitlines())
    texts = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: slowpoke\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "slowpoke"\nversion = "{version}"\n',
        "backend.py": _BACKEND.replace("VERSION", version).replace("WAIT", lines),
    }
    with tarfile.open(folder / f"slowpoke-{version}.tar.gz", "w:gz") as archive:
        for name, text in texts.items():
            entry = tarfile.TarInfo(f"slowpoke-{version}/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
