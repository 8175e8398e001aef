"""Which wheels a base can run, and what uv calls it. Pure.

Source: PEP 425 (tags), PEP 600 (manylinux), PEP 656 (musllinux). The order of tags is pip's: the best first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from shipway.errors import Refused
from shipway.image.platform import Target

_NAMED = 12  # tags in a sentence
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_OLDEST = {"x86_64": 5, "aarch64": 17}  # the first glibc for which manylinux names the machine
_GLIBC = (17, 28, *range(31, 41))  # what `uv pip compile --python-platform` takes, uv 0.13


def uv_platform(target: Target) -> str:
    """The name for ``--python-platform``: the base's libc, or the newest older one that uv knows.

    Raises Refused for a libc for which wheels are not made.
    """
    major, minor = libc_of(target)
    machine = target.platform.machine
    if target.python.libc == "musl":
        if (major, minor) < (1, 2):
            raise _too_old(target, "musl 1.2")
        return f"{machine}-unknown-linux-musl"
    known = [one for one in _GLIBC if (2, one) <= (major, minor)]
    if not known:
        raise _too_old(target, f"glibc 2.{_GLIBC[0]}")
    return f"{machine}-manylinux_2_{known[-1]}"


def rank(wheel: str, target: Target) -> int | None:
    """How well a wheel of that file name fits, 0 the best; None when it does not."""
    try:
        tags = parse_wheel_filename(wheel)[3]
    except InvalidWheelFilename:
        return None
    ranks = _ranks(target)
    return min((ranks[one] for one in tags if one in ranks), default=None)


def is_compiled(wheel: str) -> bool:
    """Whether a wheel of that file name is for certain machines only."""
    return not wheel.endswith("-any.whl")


def described(wheels: Iterable[str], target: Target) -> str:
    """For what there are wheels: systems, when it is the system that does not fit, else Pythons."""
    pythons = {(tag.interpreter, tag.abi) for tag in _ranks(target)}
    tags = [tag for one in wheels for tag in parse_wheel_filename(one)[3]]
    systems = {tag.platform for tag in tags if (tag.interpreter, tag.abi) in pythons}
    linux = sorted(one for one in systems if "linux" in one)
    found = linux or sorted(systems) or sorted({tag.interpreter for tag in tags})
    return ", ".join([*found[:_NAMED], *["..." for _ in found[_NAMED : _NAMED + 1]]])


@cache
def _ranks(target: Target) -> dict[Tag, int]:
    minor = target.python.minor
    version = [int(one) for one in minor.split(".")]
    short = "cp" + minor.replace(".", "")
    platforms = [*_platforms(target)]
    tags = [*cpython_tags(version, [short], platforms), *compatible_tags(version, short, platforms)]
    return {tag: place for place, tag in reversed([*enumerate(tags)])}


def _platforms(target: Target) -> Iterator[str]:
    major, newest = libc_of(target)
    machine = target.platform.machine
    if target.python.libc == "musl":
        yield from (f"musllinux_{major}_{minor}_{machine}" for minor in range(newest, -1, -1))
    else:
        for minor in range(newest, _OLDEST[machine] - 1, -1):
            yield f"manylinux_{major}_{minor}_{machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{machine}"
    yield f"linux_{machine}"


def libc_of(target: Target) -> tuple[int, int]:
    """The version of the libc: ``(2, 36)``. Raises Refused for what is no version."""
    major, _, rest = target.python.libc_version.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        raise Refused(f"{target.python.libc} {target.python.libc_version!r} of the base is not a version like 2.36")
    return int(major), int(minor)


def _too_old(target: Target, least: str) -> Refused:
    return Refused(
        f"the base has {target.python.libc} {target.python.libc_version}, for which no wheels are made",
        next_step=f"take a base with {least} or newer",
    )
