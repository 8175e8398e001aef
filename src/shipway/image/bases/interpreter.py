"""Which Python stands in a base, and on which C library: read from its files, nothing of it is run.

An interpreter says its version in its own bytes or in those of libpythonX.Y.so; glibc and musl say theirs in the
library that they are. Package databases are asked only where the bytes say nothing: they tell what was installed once.
Sources: PEP 600 (glibc), PEP 656 (musl); ELF, "ELF Header" and "Program Interpreter".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shipway.errors import Refused
from shipway.image.bases.config import environment
from shipway.image.platform import Platform, Python
from shipway.image.view import Stat, View
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Readable

OLDEST = (3, 8)  # older ones get no wheels any more

_ELSEWHERE = ("usr/local/bin", "usr/bin", "opt/conda/bin")  # after those of the base's own PATH
_MOST_FOLDERS = 50  # of a PATH: a stranger's may have a million
_PYTHON = re.compile(r"python(\d)\.(\d{1,3})", re.ASCII)
_OVERLAP = 4096  # bytes: what is looked for is shorter
_SYSTEMS = {62: "amd64", 183: "arm64"}  # e_machine
_TRIPLES = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_GLIBC = re.compile(rb"GNU C Library [^\0\n]{0,200}?version (\d\.\d{1,3})(?=\D)")
_SUCH_AS = "--base docker.io/library/python:3.11-slim"
_MUSL = re.compile(rb"\0(1\.\d{1,3}\.\d{1,3})\0")


@dataclass(frozen=True, slots=True)
class Found:
    """The interpreter, and where what is said of it was read."""

    python: Python
    why: str


def find(view: View, config: Mapping[str, Any], platform: Platform, name: str) -> Found:
    """The first Python on the base's PATH that wheels can be for. Raises Refused when there is none."""
    seen = list(dict.fromkeys(_executables(view, config)))
    fitting = [one for one in seen if _minor(one) >= OLDEST]
    if not fitting:
        raise _without(name, seen)
    executable = fitting[0]
    minor = ".".join(map(str, _minor(executable)))
    head = _head(view, executable)
    _check_machine(head, executable, platform, name)
    version, read_in = _version(view, executable, minor, config)
    libc, libc_version, libc_in = _libc(view, platform, name, is_musl=b"/ld-musl-" in head)
    return Found(
        Python(version, f"/{executable}", libc, libc_version),
        f"Python {version} (/{read_in}), {libc} {libc_version} (/{libc_in})",
    )


def _executables(view: View, config: Mapping[str, Any]) -> Iterator[str]:
    """Real paths of Pythons, in the order of the base's PATH; that of a virtual environment is what it was made of."""
    for folder in (*_path_of(config), *_ELSEWHERE):
        at = view.find(folder)
        if at is None or at.kind != "folder":
            continue
        for name in ("python3", "python", *_versions(view, at.path)):
            found = view.find(f"{at.path}/{name}")
            if found is not None and found.kind == "file" and _PYTHON.fullmatch(found.path.rpartition("/")[2]):
                yield found.path


def _path_of(config: Mapping[str, Any]) -> list[str]:
    folders = environment(config).get("PATH", "").split(":")
    return [one.strip("/") for one in folders if one.startswith("/")][:_MOST_FOLDERS]


def _versions(view: View, folder: str) -> list[str]:
    """Newest first."""
    names = [one.path.rpartition("/")[2] for one in view.children(folder)]
    return sorted((one for one in names if _PYTHON.fullmatch(one)), key=_minor, reverse=True)


def _minor(executable: str) -> tuple[int, int]:
    found = _PYTHON.search(executable.rpartition("/")[2])
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _version(view: View, executable: str, minor: str, config: Mapping[str, Any]) -> tuple[str, str]:
    """The version in full, and the file that says it."""
    pattern = re.compile(rb"\0(" + re.escape(minor.encode()) + rb"\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?\+?)\0")
    library = f"libpython{minor}.so.1.0"
    folder = executable.rpartition("/bin/")[0]
    beside = [f"{folder}/lib/{library}", f"{folder}/lib64/{library}"]
    beside += [f"{folder}/lib/{triple}/{library}" for triple in _TRIPLES.values()]
    for path in (executable, *beside):
        found = view.find(path)
        if found is not None and found.kind == "file" and (match := _search(view, found, pattern)):
            return match[1].decode(), path
    said = environment(config).get("PYTHON_VERSION", "")
    if re.fullmatch(re.escape(minor) + r"\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?", said, re.ASCII):
        return said, "its environment variable PYTHON_VERSION"
    return f"{minor}.0", f"{executable}, by its name alone"


def _libc(view: View, platform: Platform, name: str, *, is_musl: bool) -> tuple[Literal["glibc", "musl"], str, str]:
    triple = _TRIPLES[platform.architecture]
    places = (f"lib/{triple}", f"usr/lib/{triple}", "lib64", "usr/lib64", "lib", "usr/lib")
    # Alpine's gcompat has a libc.so.6 too: the interpreter says which loader it wants.
    for path in () if is_musl else (f"{place}/libc.so.6" for place in places):
        if (match := _said(view, path, _GLIBC)) is not None:
            return "glibc", match[1].decode(), path
    musl = f"lib/ld-musl-{platform.machine}.so.1"
    if (match := _said(view, musl, _MUSL)) is not None:
        return "musl", match[1].decode(), musl
    raise Refused(
        f"the base {name} has no C library that wheels are made for: neither libc.so.6 nor {musl} says a version",
        next_step=f"Use a base of Debian, Ubuntu, Red Hat or Alpine with Python: {_SUCH_AS}",
    )


def _said(view: View, path: str, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    found = view.find(path)
    return _search(view, found, pattern) if found is not None and found.kind == "file" else None


def _search(view: View, file: Stat, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    with view.open(file.path) as stream:
        return next(filter(None, map(pattern.search, _windows(stream))), None)


def _windows(stream: Readable) -> Iterable[bytes]:
    """A stream in pieces that overlap: an interpreter of 100 MB is not held in memory."""
    kept = b""
    while data := stream.read(CHUNK):
        yield kept + data
        kept = (kept + data)[-_OVERLAP:]


def _head(view: View, executable: str) -> bytes:
    with view.open(executable) as stream:
        return stream.read(_OVERLAP)


def _check_machine(head: bytes, executable: str, platform: Platform, name: str) -> None:
    system = _SYSTEMS.get(int.from_bytes(head[18:20], "little")) if head.startswith(b"\x7fELF") else None
    if system != platform.architecture:
        is_for = f"a program for linux/{system}" if system else "no program for a machine that images are made for"
        raise Refused(
            f"the base {name} says that it is for {platform}, and its /{executable} is {is_for}",
            next_step="Tell who made it; use another base.",
        )


def _without(name: str, seen: list[str]) -> Refused:
    least = ".".join(map(str, OLDEST))
    step = f"Use a base that has one: {_SUCH_AS}, or --base debian:bookworm, which is made here."
    if seen:
        there = ", ".join(f"/{one}" for one in seen)
        return Refused(f"the base {name} has no Python of {least} or newer, only {there}", next_step=step)
    return Refused(f"the base {name} has no Python on its PATH, in /usr/local/bin or in /usr/bin", next_step=step)
