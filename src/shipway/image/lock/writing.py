"""From what was chosen to the text of a lock. Pure.

Form: PEP 751 (https://packaging.python.org/en/latest/specifications/pylock-toml/), so that pip, uv and scanners read
it. A file stands in an entry for exactly the platforms that get it: one that not all of them get carries a marker on
``platform_machine``. ``[tool.shipway]`` holds what the choice was made for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from packaging.version import Version

from shipway.image.lock.resolution import File, Package, Resolution, file_of
from shipway.image.platform import Platform, Target

VERSION = 1  # of [tool.shipway]
_HEAD = '# Made by `shipway build`: commit it. `shipway build --upgrade` chooses anew.\nlock-version = "1.0"\n'


def written(resolutions: Iterable[Resolution]) -> str:
    """The text: a pair to :func:`shipway.image.lock.reading.read`."""
    sorted_ = sorted(resolutions, key=lambda one: one.target.platform)
    return "".join(
        [_head(sorted_), *_entries(sorted_), f"\n[tool.shipway]\nversion = {VERSION}\n", *map(_own, sorted_)]
    )


def preferences(packages: Iterable[Package]) -> str:
    """A file that tells uv which versions to prefer: what it would find at ``--output-file`` of the time before."""
    return "".join([_HEAD, 'created-by = "shipway"\n', *(_entry(one) for one in packages)])


def _head(resolutions: Sequence[Resolution]) -> str:
    pairs = [("environments", _array(_environment(one.target) for one in resolutions))]
    if pythons := sorted({one.target.python.minor for one in resolutions}, key=Version):
        pairs.append(("requires-python", _string(f">={pythons[0]}")))
    pairs.append(("created-by", _string("shipway")))
    if not any(one.packages for one in resolutions):
        pairs.append(("packages", "[]"))
    return _HEAD + _lines(pairs)


def _entries(resolutions: Sequence[Resolution]) -> Iterator[str]:
    has: dict[Package, list[Platform]] = {}
    for resolution in resolutions:
        for package in resolution.packages:
            has.setdefault(package, []).append(resolution.target.platform)
    for package, platforms in sorted(has.items(), key=lambda one: (one[0].name, one[1])):
        everywhere = len(platforms) == len(resolutions)
        yield _entry(package, "" if everywhere else " or ".join(map(_on, platforms)))


def _entry(package: Package, marker: str = "") -> str:
    pairs = [("name", _string(package.name)), ("version", _string(package.version))]
    if marker:
        pairs.append(("marker", _string(marker)))
    file = _file(package.file)
    if package.direct:
        pairs.append(("archive", file))
    elif package.wheel is None:
        pairs.append(("sdist", file))
    else:
        pairs.append(("wheels", f"[{file}]"))
    return "\n[[packages]]\n" + _lines(pairs)


def _file(file: File) -> str:
    pairs = []
    if file.name != file_of(file.url):
        pairs.append(f"name = {_string(file.name)}")
    if file.url:
        pairs.append(f"url = {_string(file.url)}")
    if file.size:
        pairs.append(f"size = {file.size}")
    return f"{{ {', '.join([*pairs, f'hashes = {{ sha256 = {_string(file.sha256)} }}'])} }}"


def _own(resolution: Resolution) -> str:
    target, base = resolution.target, resolution.base
    pairs = [
        ("base", _string(base.name)),
        ("base-digest", _string(base.digest)),
        ("python", _string(target.python.version)),
        ("executable", _string(target.python.executable)),
        ("libc", _string(target.python.libc)),
        ("libc-version", _string(target.python.libc_version)),
        ("asked", _array(resolution.asked)),
    ]
    return f"\n[tool.shipway.platforms.{_string(str(target.platform))}]\n" + _lines(pairs)


def _on(platform: Platform) -> str:
    return f"platform_machine == '{platform.machine}'"


def _environment(target: Target) -> str:
    return f"sys_platform == 'linux' and {_on(target.platform)} and python_version == '{target.python.minor}'"


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in pairs)


def _array(values: Iterable[str]) -> str:
    lines = [f"    {_string(one)},\n" for one in values]
    return f"[\n{''.join(lines)}]" if lines else "[]"


def _string(value: str) -> str:
    # JSON's escapes are TOML's; DEL alone may stand as it is in one and not in the other.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
