"""Where pip's packages stand in an image of ours, and what of a Dockerfile speaks of the places where pip would have
put them. Pure, but for one file that is written.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from shipway.image.assemble import Runs
from shipway.image.dockerfile.ground import Ground
from shipway.image.dockerfile.meaning import World
from shipway.image.dockerfile.pip import VENV, Asked
from shipway.image.platform import Python

_LISTS = {"--extra-index-url": "PIP_EXTRA_INDEX_URL", "--find-links": "PIP_FIND_LINKS"}


def terms(asked: Asked) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What beside the requirements decides which packages are chosen, as lines for the lock; and notes.

    Packages of all RUNs are chosen together: of several RUNs with indexes of their own, all are asked for all.
    """
    options = dict.fromkeys(asked.options)
    indexes = [one for one in options if one.startswith("--index-url")]
    main = "--index-url" if "--index-url" in indexes else next(iter(indexes), "")
    found = [main] if main not in ("", "--index-url") else []
    found += [one.replace("--index-url", "--extra-index-url", 1) for one in indexes if one != main]
    found += [one for one in options if one not in indexes]
    found += [f"--constraint {line}" for line in asked.constraints]
    names = ", ".join(one.partition(" ")[2] or "pip's own" for one in indexes)
    notes = (f"packages are chosen together for all RUNs, from all of their indexes: {names}",)
    return tuple(dict.fromkeys(found)), notes if len(indexes) > 1 else ()


def pip_variables(lines: Sequence[str], room: Path) -> Mapping[str, str]:
    """Such lines as pip's variables; constraints go into a file of ``room``."""
    found: dict[str, str] = {}
    constraints: list[str] = []
    for line in lines:
        name, _, value = line.partition(" ")
        match name:
            case "--constraint":
                constraints.append(value)
            case "--index-url":
                found["PIP_INDEX_URL"] = value
            case "--no-index":
                found["PIP_NO_INDEX"] = "1"
            case _:
                found[_LISTS[name]] = f"{found.get(_LISTS[name], '')} {value}".strip()
    if constraints:
        file = room / "constraints.txt"
        file.write_text("".join(f"{line}\n" for line in constraints), "utf-8")
        found["PIP_CONSTRAINT"] = str(file)
    return found


def places(asked: Asked, python: Python, world: World) -> Iterator[str]:
    """Where pip would have put packages and programs, absolute."""
    prefix = posixpath.dirname(posixpath.dirname(python.executable))
    home = world.environment.get("HOME", "/root")
    for root in (VENV, *asked.into):
        yield f"{home}{root[1:]}" if root.startswith("~") else root
    yield from (f"{prefix}/bin", f"{prefix}/lib/python{python.minor}/site-packages")
    yield f"{prefix}/lib/python3/dist-packages"


def brought(sources: Sequence[str], asked: Asked, python: Python, world: World) -> tuple[bool, bool]:
    """Whether a ``COPY --from`` of these sources takes the stage's packages along; and whether it wants nothing else,
    so that what is not there is no fault."""
    there = list(places(asked, python, world))
    paths = ["/" + posixpath.normpath(f"/{one}").strip("/") for one in sources]
    within = [any(_lies(path, one) for one in there) for path in paths]
    above = [any(_lies(one, path) for one in there) for path in paths]
    return any(within) or any(above), all(within)


def in_environment(world: World, python: Python, ground: Ground, asked: Asked) -> tuple[Runs, tuple[str, ...]]:
    """What a container runs, with the interpreter of the environment where the Dockerfile names the base's by its
    path: that one would not see the packages. And a note on each change."""
    if not asked.requirements:
        return world.runs, ()
    folders = {one if one.endswith("/bin") else f"{one}/bin" for one in places(asked, python, world)}
    notes: list[str] = []

    def program(name: str) -> str:
        folder, _, plain = name.rpartition("/")
        interpreter = name == python.executable or plain in ("python", "python3", f"python{python.minor}")
        if folder not in folders or folder == f"{VENV}/bin" or not (interpreter or ground.find(name) is None):
            return name
        notes.append(f"{name} is run as {VENV}/bin/{plain}: the packages stand there")
        return f"{VENV}/bin/{plain}"

    def command(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if not words:
            return words
        if len(words) == 3 and words[1] == "-c" and words[0].endswith("sh"):  # the shell form
            first, space, rest = words[2].partition(" ")
            if first == "exec":
                second, space, rest = rest.partition(" ")
                return (*words[:2], f"exec {program(second)}{space}{rest}")
            return (*words[:2], f"{program(first)}{space}{rest}")
        return (program(words[0]), *words[1:])

    runs = replace(world.runs, entrypoint=command(world.runs.entrypoint))
    if not runs.entrypoint:  # else CMD holds arguments
        runs = replace(runs, cmd=command(runs.cmd))
    return runs, tuple(notes)


def _lies(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
