"""Where COPY puts what it takes: Docker's rules of files, folders and trailing slashes. Pure over two file systems.

Source: https://docs.docker.com/reference/dockerfile/#copy; where that leaves a question open, what BuildKit does
(``solver/llbsolver/file`` and ``fsutil/copy``).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from shipway.image.dockerfile.ground import Found, Ground, Origin, above
from shipway.image.dockerfile.matching import is_pattern, matcher, start
from shipway.image.dockerfile.meaning import Copy
from shipway.image.dockerfile.value import wrong


@dataclass(frozen=True, slots=True)
class Placed:
    """Where something goes, and what was found for it; None: a folder on the way that is made. ``named``: what a source
    names, and not what is below it."""

    name: str
    found: Found | None
    named: bool = False


def placed(copy: Copy, origin: Origin, ground: Ground, *, may_lack: bool = False) -> tuple[Placed, ...]:
    """What the instruction puts where, folders that are missing included; sorted by name.

    ``may_lack``: a source that is not there is no error. Raises UserError with the line.
    """
    matches = [match for source in copy.sources for match in _matches(copy, source, origin, may_lack=may_lack)]
    slash, into = copy.destination.endswith("/"), ground.resolve(copy.destination)
    there = ground.find(into)
    into_folder = slash or (there is not None and there.kind == "folder")
    if len(matches) > 1 and not into_folder:
        step = f"Write {copy.destination}/"
        raise wrong(copy.at, f"{len(matches)} sources match, and {copy.destination} is no folder", step)
    if there is not None and there.kind != "folder" and slash:
        raise wrong(copy.at, f"{copy.destination} must be a folder, and is a {there.kind} in the image")
    made: dict[str, Found | None] = {}
    if slash and matches:
        made[into] = None
    for name, found in matches:
        if found.kind == "folder":
            made |= _contents(copy, origin, found, into, ground)
        else:
            made[posixpath.join(into, name) if into_folder else into] = found
    made.pop("", None)
    for name in list(made):
        for parent in above(name):
            made.setdefault(parent, None)
    named = {found.path for _, found in matches}
    return tuple(
        Placed(name, found, found is not None and found.path in named)
        for name, found in sorted(made.items(), key=lambda one: one[0])
        if _lacks(copy, name, found, ground) or found is not None
    )


def _matches(copy: Copy, source: str, origin: Origin, *, may_lack: bool) -> Iterator[tuple[str, Found]]:
    """What a source names, with the last part of its name."""
    path = posixpath.normpath(f"./{source}")
    if path == ".." or path.startswith("../"):
        raise wrong(copy.at, f"{source} leads out of the build's folder", "Build in the folder above, with -f.")
    path = "" if path == "." else path
    if not is_pattern(path):
        found = origin.find(path)
        if found is not None:
            yield posixpath.basename(path), found
        elif not may_lack:
            raise wrong(copy.at, f"{source} is not there", _not_there(copy))
        return
    try:
        pattern = matcher(path)
    except ValueError as error:
        raise wrong(copy.at, f"{source}: {error}") from error
    fixed = start(path)
    within = origin.find(fixed)
    # No match is no error: "COPY requirements.txt optional* ./" is how people name what may lack.
    for one in sorted(origin.below(within.path), key=lambda one: one.path) if within else ():
        written = posixpath.join(fixed, one.path[len(within.path) :].lstrip("/")) if within else one.path
        if pattern.fullmatch(written) and (found := origin.find(one.path)) is not None:
            yield posixpath.basename(written), found


def _not_there(copy: Copy) -> str:
    if copy.origin is None:
        return "A source is relative to the build's folder. Look at .dockerignore, too: what it names is not there."
    return f"Look what is in it: shipway image show {copy.origin}" if isinstance(copy.origin, str) else ""


def _contents(copy: Copy, origin: Origin, folder: Found, into: str, ground: Ground) -> dict[str, Found | None]:
    there = ground.find(into)
    if there is not None and there.kind != "folder":
        raise wrong(copy.at, f"{folder.path or '.'} is a folder, and {copy.destination} is a {there.kind}")
    # As BuildKit: a folder that is there keeps its owner and mode, those below it get them from what is copied.
    made: dict[str, Found | None] = {into: folder if there is None else None}
    cut = len(folder.path) + 1 if folder.path else 0
    real: dict[str, str] = {}  # a folder on the way may be a link in the image: /bin is usr/bin
    for one in origin.below(folder.path):
        name = posixpath.join(into, one.path[cut:])
        parent, base = posixpath.split(name)
        if parent not in real:
            real[parent] = ground.resolve(parent)
        if one.kind == "folder":
            made[ground.resolve(name)] = one
        else:
            made[posixpath.join(real[parent], base)] = one
    return made


def _lacks(copy: Copy, name: str, found: Found | None, ground: Ground) -> bool:
    """Whether nothing is there yet. Raises UserError for a folder where a file would be, and the other way round."""
    there = ground.find(name)
    folder = found is None or found.kind == "folder"
    if there is not None and folder and there.kind != "folder":
        raise wrong(copy.at, f"/{name} must be a folder, and is a {there.kind} in the image")
    if there is not None and not folder and there.kind == "folder" and there.path == name:
        raise wrong(copy.at, f"/{name} is a folder in the image, and {found.path if found else name} is none")
    return there is None
