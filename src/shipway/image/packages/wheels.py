"""Installed packages as entries of an image: what came with the wheel, and nothing of the machine that installed it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.message import Message
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath

from shipway.errors import Refused
from shipway.image.layer import Entry, PackageFacts
from shipway.image.layers import venv
from shipway.image.lock import Package
from shipway.image.packages.installed import Installed, on_disk
from shipway.image.platform import Python

_SHEBANG_READ = 4 << 10  # bytes of a script in which the line with its interpreter ends
# A wheel's script says "#!python", and the installer puts its own interpreter there, in a shell's words where the path
# is too long for the kernel or has a space.
_SHEBANG = re.compile(rb"#!(?:/bin/sh\n'''exec' [^\n]*\n' '''|[^ \r\n]*/python[0-9.]*w?(?=[ \r\n]|$))")
_LIB64 = re.compile(r"^lib64/")  # a link to "lib" in every environment
_SITE = re.compile(r"^lib/python[0-9.]+/site-packages/")
_HEADERS = re.compile(r"^include/site/python[0-9.]+/")
_EXTRAS = re.compile(r"\s*\[.*\]$")
_NAME = re.compile(r"[^/\0\s][^/\0]*")
_OBJECT = re.compile(r"[\w.]+")
_LICENCE = 120  # characters: some wheels have the whole text where the name should stand
_UNKNOWN = frozenset({"", "UNKNOWN"})

_Row = tuple[str, int]  # hash as RECORD has it, bytes


def entries_of(package: Installed, python: Python) -> Iterator[Entry]:
    """The files of a package below ``opt/venv``, its programs, and a RECORD that is the same on every machine.

    Raises Refused for an entry point that cannot be a program, and for a file in the place of one of the environment.
    """
    own = _environment(python)
    for entry in _entries(package, python):
        # A file below one of them would put a folder into its place.
        if taken := own.intersection((entry.name, *map(str, PurePosixPath(entry.name).parents))):
            raise Refused(
                f"the package {package.name} has a file in the place of the environment's own /{min(taken)}",
                next_step="Do not trust it; or ask its authors.",
            )
        yield entry


def _entries(package: Installed, python: Python) -> Iterator[Entry]:
    here = venv.site_packages(python)
    rows: dict[str, _Row] = {}
    for name, digest in package.files.items():
        path = on_disk(package.prefix, name)
        stat = path.stat()
        entry = Entry(_placed(name, python), content=path, executable=bool(stat.st_mode & 0o100))
        changed = rewritten(path) if name.startswith("bin/") else None
        if changed is not None:
            entry = replace(entry, content=changed)
        whole = digest and changed is None
        rows[entry.name] = (digest, stat.st_size) if whole else _row(entry.content)
        yield entry
    for point in package.programs():
        entry = program(point, package.name)
        rows[entry.name] = _row(entry.content)
        yield entry
    info = _placed(package.info, python)
    yield Entry(f"{info}/RECORD", content=_record(rows, f"{info}/RECORD", here))


def facts_of(package: Installed, locked: Package) -> PackageFacts:
    """What the package says of itself, and the file that it came from."""
    metadata = package.distribution.metadata
    return PackageFacts(
        name=locked.name,
        version=locked.version,
        wheel=locked.file.name,
        sha256=locked.file.sha256,
        licence=licence(metadata),  # type: ignore[arg-type] # importlib's protocol has no get_all with a default
        size=sum(on_disk(package.prefix, name).stat().st_size for name in package.files),
        requires=tuple(metadata.get_all("Requires-Dist") or ()),
    )


def licence(metadata: Message) -> str:
    """An SPDX expression where the package has one, else what its authors wrote, else its classifiers' words; or "".

    Source: PyPA, "Core metadata specifications", License-Expression, License, Classifier.
    """
    expression, written = metadata.get("License-Expression") or "", metadata.get("License") or ""
    first = next((line.strip() for line in written.splitlines() if line.strip()), "")
    if expression.strip() not in _UNKNOWN:
        return str(expression).strip()
    if first not in _UNKNOWN and len(written) <= _LICENCE:
        return first
    classifiers = (one for one in metadata.get_all("Classifier") or () if one.startswith("License ::"))
    names = sorted({str(one).rpartition(" :: ")[2] for one in classifiers} - {"OSI Approved"})
    return " OR ".join(names) or ("" if first in _UNKNOWN else first[:_LICENCE])


@cache
def _environment(python: Python) -> frozenset[str]:
    return frozenset(one.name for one in venv.skeleton(python, system_site=False) if one.kind != "folder")


def _placed(name: str, python: Python) -> str:
    """From a name below the prefix to one in the image: its Python may be another than the one that uv asked."""
    inside = _SITE.sub(f"lib/python{python.minor}/site-packages/", _LIB64.sub("lib/", name))
    return f"{venv.ROOT}/{_HEADERS.sub(f'include/site/python{python.minor}/', inside)}"


def program(point: EntryPoint, package: str) -> Entry:
    """The program of a package's entry point. Pure. Raises Refused for what cannot be one."""
    module, _, attribute = _EXTRAS.sub("", point.value).partition(":")
    module, attribute = module.strip(), attribute.strip()
    fits = (
        _NAME.fullmatch(point.name)
        and point.name != ".."
        and _OBJECT.fullmatch(module)
        and _OBJECT.fullmatch(attribute)
    )
    if not fits:
        raise Refused(
            f"the package {package} has the entry point {point.name!r} = {point.value!r}, which cannot be a program",
            next_step="Ask its authors: it should look like name = package.module:function",
        )
    return venv.script(point.name, module, attribute)


def rewritten(path: Path) -> bytes | None:
    """A script for the image's Python; None for what needs no other interpreter."""
    with path.open("rb") as file:
        found = _SHEBANG.match(file.read(_SHEBANG_READ))
        if found is None:
            return None
        file.seek(found.end())
        return f"#!{venv.PYTHON}".encode() + file.read()


def _row(content: bytes | Path) -> _Row:
    if isinstance(content, Path):
        with content.open("rb") as file:
            digest, size = hashlib.file_digest(file, "sha256").digest(), content.stat().st_size
    else:
        digest, size = hashlib.sha256(content).digest(), len(content)
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("="), size


def _record(rows: Mapping[str, _Row], itself: str, site: str) -> bytes:
    text = io.StringIO()
    lines: Mapping[str, tuple[str, int | str]] = {**rows, itself: ("", "")}
    csv.writer(text, lineterminator="\n").writerows(
        (posixpath.relpath(name, site), digest, size) for name, (digest, size) in sorted(lines.items())
    )
    return text.getvalue().encode()
