"""From what uv chose to the packages of a lock. Pure.

Source: PEP 751, as `uv pip compile --format pylock.toml` writes it for one platform.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from shipway.errors import Refused
from shipway.image.lock.resolution import File, Package, file_of, ordered
from shipway.image.lock.tags import rank
from shipway.image.platform import Target

_HASH_STEP = "ask its index to state sha256 hashes, or put the wheel into a folder that pip knows as find-links"


def chosen(text: str, target: Target) -> tuple[Package, ...]:
    """The packages, each with the one wheel that fits best, else with its source distribution.

    Raises Refused for a package that has neither, or none with a sha256.
    """
    return ordered(_package(entry, target) for entry in tomllib.loads(text).get("packages", ()))


def wheels_in(text: str) -> tuple[str, ...]:
    """The names of all wheels that uv lists."""
    entries = tomllib.loads(text).get("packages", ())
    return tuple(_name(one) for entry in entries for one in entry.get("wheels", ()))


def kept(packages: Iterable[Package], pins: Sequence[Package], target: Target) -> tuple[Package, ...]:
    """The packages, with the files of ``pins`` where the version is the same and the file fits: an index that got a
    second file of a version must not change an image."""
    before = {(one.name, one.version): one for one in pins if not one.direct}
    return tuple(_keep(one, before.get((one.name, one.version)), target) for one in packages)


def _keep(package: Package, pin: Package | None, target: Target) -> Package:
    fits = pin is not None and pin.wheel is not None and rank(pin.wheel.name, target) is not None
    if pin is None or package.direct or not fits:
        return package
    return pin


def _package(entry: Mapping[str, Any], target: Target) -> Package:
    name, version = str(canonicalize_name(entry["name"])), str(entry.get("version", ""))
    if archive := entry.get("archive"):
        file = _file(archive, name, direct=True)
        if not file.name.endswith(".whl"):
            return Package(name, version, None, file, direct=True)
        if rank(file.name, target) is None:
            raise no_wheel(f"{name} {version}", target, file.name)
        return Package(name, version, file, direct=True)
    wheels = [(place, one) for one in entry.get("wheels", ()) if (place := rank(_name(one), target)) is not None]
    if wheels:
        return Package(name, version, _file(min(wheels, key=lambda one: one[0])[1], name))
    if sdist := entry.get("sdist"):
        return Package(name, version, None, _file(sdist, name))
    raise no_wheel(f"{name} {version}", target, ", ".join(_name(one) for one in entry.get("wheels", ())))


def no_wheel(what: str, target: Target, there: str) -> Refused:
    """The refusal of a package of which no wheel fits; ``there`` says which ones there are."""
    found = f"; there are wheels for {there}" if there else "; at most its source is there"
    return Refused(
        f"no wheel of {what} for {target}{found}",
        next_step="ask for another version, take a base whose Python and libc one of its wheels fits (--base), or "
        "build a wheel for it and put it into a folder that pip knows as find-links",
    )


def _file(table: Mapping[str, Any], package: str, *, direct: bool = False) -> File:
    sha256 = table.get("hashes", {}).get("sha256")
    if not sha256:
        raise Refused(f"nobody says the sha256 of {_name(table)}, a file of {package}", next_step=_HASH_STEP)
    return File(_name(table), str(sha256), int(table.get("size", 0)), _address(str(table.get("url", "")), direct))


def _name(table: Mapping[str, Any]) -> str:
    return str(table.get("name") or file_of(str(table.get("url") or table.get("path", ""))))


def _address(url: str, direct: bool) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    # The query of an index's links may be a signature, that of an address which the user wrote is part of it.
    return urlunsplit(parts._replace(netloc=netloc, fragment="", query=parts.query if direct else ""))


def sized(package: Package, size: int) -> Package:
    """The package with the size of its file, which its index did not say."""
    if package.wheel is not None:
        return replace(package, wheel=replace(package.wheel, size=size))
    return replace(package, sdist=replace(package.file, size=size))
