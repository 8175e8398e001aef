"""What uv has installed below a prefix: which package owns which file, as each package's RECORD says.

Source: PyPA, "Recording installed projects" and "Binary distribution format". A prefix, not a ``--target``, because
only there scripts and data files lie apart from packages: ``bin/``, ``share/``, ``lib/pythonX.Y/site-packages/``.
"""

from __future__ import annotations

import csv
import os
import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

from packaging.utils import canonicalize_name

from shipway.errors import DependencyFailed, Refused

_SCRIPTS = ("console_scripts", "gui_scripts")

# What the installer wrote beside what came with the wheel: it says where and when it was installed, and by what.
_INSTALLERS = frozenset(
    {
        "INSTALLER",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "REQUESTED",
        "direct_url.json",
        "uv_build.json",
        "uv_cache.json",
    }
)


@dataclass(frozen=True, slots=True)
class Installed:
    """One package: its files by their names below the prefix (``bin/flask``), each with the hash in RECORD's form
    (``sha256=...``), empty where RECORD has none. Programs of entry points and what the installer wrote are left out.
    """

    name: str  # normalised
    prefix: Path
    info: str  # below the prefix: "lib/python3.11/site-packages/flask-3.1.3.dist-info"
    files: Mapping[str, str]

    @property
    def distribution(self) -> Distribution:
        """What the standard library reads of it."""
        return Distribution.at(on_disk(self.prefix, self.info))

    def programs(self) -> tuple[EntryPoint, ...]:
        """The entry points that become programs, sorted by name."""
        found = (one for one in self.distribution.entry_points if one.group in _SCRIPTS)
        return tuple(sorted(found, key=lambda one: (one.name, one.group)))


def on_disk(folder: Path, name: str) -> Path:
    """The file of a name that is UTF-8 in RECORD and in the image, whatever this machine's locale is."""
    return folder / os.fsdecode(name.encode())


def read(prefix: Path) -> Mapping[str, Installed]:
    """All packages below the prefix, by normalised name.

    A file that no RECORD names belongs to the only package, where there is only one: pip installs all that is in a
    wheel, and some wheels are packed badly. Raises Refused for a RECORD that names a file elsewhere.
    """
    found = {}
    # Where Python has "lib64" (Fedora), what is compiled lies there.
    for info in sorted(prefix.glob("lib*/python*/site-packages/*.dist-info")):
        one = _installed(prefix, info.parent.relative_to(prefix).as_posix(), info.name)
        found[one.name] = one
    if len(found) == 1:
        [(name, one)] = found.items()
        found = {name: replace(one, files={**one.files, **dict.fromkeys(strays(prefix, found), "")})}
    return found


def strays(prefix: Path, packages: Mapping[str, Installed]) -> tuple[str, ...]:
    """Files below the prefix that no package owns, sorted."""
    owned = {name for one in packages.values() for name in (*one.files, *_of_installer(one))}
    return tuple(name for name in _walk(prefix) if name not in owned)


def contested(packages: Mapping[str, Installed]) -> frozenset[str]:
    """The packages that have a file in common with another, and not the same bytes: only the one that was installed
    last is on the disk, and which that was is chance. Pure."""
    owners: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in packages.values():
        for name, digest in one.files.items():
            owners[name][one.name] = digest
    shared = (said for said in owners.values() if len(said) > 1)
    return frozenset(name for said in shared if len({*said.values()}) > 1 or "" in said.values() for name in said)


def _installed(prefix: Path, site: str, info: str) -> Installed:
    distribution = Distribution.at(on_disk(prefix, f"{site}/{info}"))
    text = distribution.read_text("RECORD")
    name = next(iter(distribution.metadata.get_all("Name") or ()), "")
    if text is None or not name:
        raise DependencyFailed(f"{info} has no RECORD or no name: it is no package that uv has installed")
    programs = {f"bin/{one.name}" for one in distribution.entry_points if one.group in _SCRIPTS}
    files = {}
    for path, digest in _rows(text):
        below = posixpath.normpath(f"{site}/{path}")
        if below.startswith("../") or path.startswith("/") or below == "..":
            raise Refused(
                f"the package {name} names a file outside of its environment: {path!r}",
                next_step="Do not trust it; or ask its authors for a wheel that is not broken.",
            )
        if below not in programs and _is_kept(below, f"{site}/{info}") and on_disk(prefix, below).is_file():
            files[below] = digest
    return Installed(canonicalize_name(name), prefix, f"{site}/{info}", files)


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for row in csv.reader(text.splitlines()):
        if row and row[0]:
            yield row[0], row[1] if len(row) > 1 else ""


def _is_kept(name: str, info: str) -> bool:
    folder, _, last = name.rpartition("/")
    return "__pycache__" not in name.split("/") and not (folder == info and last in _INSTALLERS)


def _of_installer(one: Installed) -> Sequence[str]:
    programs = (f"bin/{program.name}" for program in one.programs())
    return (*programs, *(f"{one.info}/{name}" for name in sorted(_INSTALLERS)))


def _walk(prefix: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(prefix):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        for name in sorted(names):
            below = os.fsencode(Path(folder, name).relative_to(prefix)).decode(errors="surrogateescape")
            if below != ".lock":  # uv's own
                yield below
