"""Shipway itself as entries of an image: the runtime for a model's server, or all of it for the courier.

It lies in ``opt/shipway``, apart from the user's packages, and the virtual environment finds it there
(:mod:`shipway.image.layers.venv`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from shipway import __version__
from shipway.image.layer import Entry
from shipway.image.layers import venv
from shipway.image.layers.write import with_folders
from shipway.packages.body import body_files, package_files

_COMMAND = ("shipway.cli.main", "main")
_FAKES = "testing/"


def entries(package: Path) -> tuple[Entry, ...]:
    """The runtime layer: ``__init__.py`` and ``runtime/`` of the shipway package in that folder."""
    return with_folders(_files(package, body_files(package)))


def whole(package: Path) -> tuple[Entry, ...]:
    """The whole package but its fakes, with what makes it an installed one: its metadata, and the command."""
    return with_folders((*_files(package, package_files(package)), *_installed()))


def requirements() -> tuple[str, ...]:
    """What the whole package needs beside itself: the Requires-Dist lines of the Shipway that runs, without extras.

    Raises PackageNotFoundError where it runs from a folder, and was never installed.
    """
    return tuple(one for one in metadata.requires("shipway") or () if "extra ==" not in one)


def _files(package: Path, names: Sequence[str]) -> Iterator[Entry]:
    for name in names:
        if not name.startswith(_FAKES):
            yield Entry(f"{venv.SHIPWAY}/shipway/{name}", content=package / name)


def _installed() -> Iterator[Entry]:
    info = f"{venv.SHIPWAY}/shipway-{__version__}.dist-info"
    module, attribute = _COMMAND
    lines = ["Metadata-Version: 2.1", "Name: shipway", f"Version: {__version__}"]
    lines += (f"Requires-Dist: {one}" for one in requirements())
    yield Entry(f"{info}/METADATA", content="".join(f"{line}\n" for line in lines).encode())
    yield Entry(f"{info}/entry_points.txt", content=f"[console_scripts]\nshipway = {module}:{attribute}\n".encode())
    yield venv.script("shipway", module, attribute)
