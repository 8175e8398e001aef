"""From the text of a lock to what was chosen. Pure. The form: see writing.py.

Names, versions and addresses go into a requirements file for uv: a lock that somebody else wrote must not hide an
option for it in them, nor a ``${VARIABLE}``, which uv would replace and send to the address. So what is read is judged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from shipway.errors import UserError
from shipway.image.lock.resolution import File, LockedBase, Package, Resolution, file_of, ordered
from shipway.image.lock.writing import VERSION
from shipway.image.platform import Platform, Python, Target
from shipway.oci import Digest

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_URL = re.compile(r"(?!\S*\$\{)(https?://[^\s\\/@]+|file://)/[^\s\\]*")  # no user name or password either
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read(text: str) -> dict[Platform, Resolution]:
    """What was chosen for each platform. Raises UserError for a text that is not a lock of ours, or is damaged."""
    try:
        return _read(tomllib.loads(text))
    except KeyError as error:
        raise _unreadable(f"it has no {error.args[0]!r} where one must be") from error
    except (AttributeError, InvalidMarker, RecursionError, TypeError, ValueError) as error:  # TOML's is a ValueError
        raise _unreadable(str(error)) from error


def _read(document: Mapping[str, Any]) -> dict[Platform, Resolution]:
    if "shipway" not in document.get("tool", {}):
        raise _unreadable("another program made it: it has no [tool.shipway]")
    own = document["tool"]["shipway"]
    if own["version"] != VERSION:
        raise _unreadable(f"its form is version {own['version']!r}, this Shipway reads {VERSION}")
    entries = [(_marker(one), _package(one)) for one in document["packages"]]
    return {Platform.parse(name): _resolution(name, one, entries) for name, one in own.get("platforms", {}).items()}


def _resolution(name: str, own: Mapping[str, Any], entries: Sequence[tuple[Marker | None, Package]]) -> Resolution:
    platform = Platform.parse(name)
    libc, asked = _text(own, "libc"), own["asked"]
    if libc not in ("glibc", "musl"):
        raise _unreadable(f"{libc!r} is no libc: allowed are glibc and musl")
    if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
        raise _unreadable(f"asked is {asked!r}, not a list of lines")
    python = Python(
        _text(own, "python"),
        _text(own, "executable"),
        "glibc" if libc == "glibc" else "musl",
        _text(own, "libc-version"),
    )
    target = Target(platform, python)
    here = target.markers()
    packages = ordered(one for marker, one in entries if marker is None or marker.evaluate(here))
    names = [one.name for one in packages]
    if twice := next((one for one, other in pairwise(names) if one == other), ""):
        raise _unreadable(f"{twice} stands in it twice for {platform}")
    base = LockedBase(_text(own, "base"), Digest(_text(own, "base-digest")))
    return Resolution(target, tuple(asked), base, packages)


def _marker(entry: Mapping[str, Any]) -> Marker | None:
    return Marker(_text(entry, "marker")) if "marker" in entry else None


def _package(entry: Mapping[str, Any]) -> Package:
    name, version = _text(entry, "name"), _text(entry, "version")
    if not _NAME.fullmatch(name) or name != canonicalize_name(name):
        raise _unreadable(f"{name!r} is not how the name of a package is written")
    if version != str(Version(version)):
        raise _unreadable(f"{version!r} of {name} is not how a version is written")
    if "archive" in entry:
        file = _file(entry["archive"])
        if not file.url.startswith("http"):
            raise _unreadable(f"{file.url!r} of {name} is not an address of the web")
        if not file.name.endswith(".whl"):
            return Package(name, version, None, file, direct=True)
        return Package(name, version, _wheel(file, name, version), direct=True)
    if "sdist" in entry:
        return Package(name, version, None, _file(entry["sdist"]))
    wheels = entry["wheels"]
    if len(wheels) != 1:
        raise _unreadable(f"{name} has {len(wheels)} wheels in one entry, not one")
    return Package(name, version, _wheel(_file(wheels[0]), name, version))


def _wheel(file: File, name: str, version: str) -> File:
    """The file, which is a wheel of that package: nothing else may be built or listed under its name."""
    found, of, _, _ = parse_wheel_filename(file.name)
    if (found, of) != (name, Version(version)):
        raise _unreadable(f"{file.name!r} is no wheel of {name} {version}")
    return file


def _file(table: Mapping[str, Any]) -> File:
    sha256, size = _text(table["hashes"], "sha256"), table.get("size", 0)
    url = _text(table, "url") if "url" in table else ""
    if not _SHA256.fullmatch(sha256):
        raise _unreadable(f"{sha256!r} is no sha256")
    if not isinstance(size, int) or size < 0:
        raise _unreadable(f"{size!r} is no size")
    if url and not _URL.fullmatch(url):
        raise _unreadable(f"{url!r} is no address")
    name = _text(table, "name") if "name" in table else file_of(url)
    if not name.isprintable() or "/" in name:
        raise _unreadable(f"{name!r} is no name of a file")
    return File(name, sha256, size, url)


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise _unreadable(f"{key} is {value!r}, not a text")
    return value


def _unreadable(why: str) -> UserError:
    return UserError(
        f"the lock cannot be read: {why}",
        next_step="take it from version control again, or choose anew: shipway build --upgrade",
    )
