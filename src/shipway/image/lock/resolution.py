"""The values: files, packages, and what was chosen for one platform. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from shipway.image.platform import Target
from shipway.oci import Digest


@dataclass(frozen=True, slots=True)
class File:
    """A wheel or a source distribution, by its content."""

    name: str
    sha256: str  # 64 hex digits
    size: int = 0  # bytes; 0 where no index said it
    url: str = ""  # where it was found, without credentials; "file:" on the machine that made the lock


@dataclass(frozen=True, slots=True)
class Package:
    """One package: its wheel, else the source distribution that a wheel is built from; never both."""

    name: str  # normalised: "scikit-learn"
    version: str
    wheel: File | None
    sdist: File | None = None
    direct: bool = False  # asked for by its URL, which is the only place where it is looked for

    @property
    def file(self) -> File:
        """The one that is installed. Raises ValueError where there is none."""
        found = self.wheel or self.sdist
        if found is None:
            raise ValueError(f"{self.name} {self.version} has no file")
        return found


@dataclass(frozen=True, slots=True)
class LockedBase:
    """The base for which packages were chosen."""

    name: str  # as Base.name
    digest: Digest  # of its manifest for the platform


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was chosen for one platform; ``packages`` are sorted by name."""

    target: Target
    asked: tuple[str, ...]  # all lines: the user's, and those of Shipway's runtime
    base: LockedBase
    packages: tuple[Package, ...]

    def fits(self, asked: Sequence[str], target: Target, base: LockedBase, runtime: Sequence[str] = ()) -> str:
        """``""`` when this is what would be asked for now, else why not, for a sentence after "the lock is stale:".

        ``runtime`` are those of ``asked`` that come from Shipway itself: a change of them is told as such.
        """
        reasons = (
            _base(self.base, base),
            _python(self.target, target),
            _lines(self.asked, asked, runtime),
        )
        return "; ".join(reason for reason in reasons if reason)


def _base(locked: LockedBase, now: LockedBase) -> str:
    if locked.name != now.name:
        return f"it was made for the base {locked.name}, not for {now.name}"
    if locked.digest != now.digest:
        return f"the base {now.name} was {_short(locked.digest)} and is now {_short(now.digest)}"
    return ""


def _python(locked: Target, now: Target) -> str:
    if locked.platform != now.platform:
        return f"it was made for {locked.platform}, not for {now.platform}"
    was, is_ = (
        f"Python {one.version} ({one.executable}), {one.libc} {one.libc_version}" for one in (locked.python, now.python)
    )
    return "" if was == is_ else f"the base had {was} and has {is_}"


def _lines(locked: Sequence[str], now: Sequence[str], runtime: Sequence[str]) -> str:
    before, after = {" ".join(line.split()) for line in locked}, {" ".join(line.split()) for line in now}
    added, removed = sorted(after - before), sorted(before - after)
    own = {_name(line) for line in runtime}
    told = []
    for what, ours in (("the requirements changed", False), ("those of Shipway's runtime changed", True)):
        changes = [f"+ {one}" for one in added if (_name(one) in own) is ours]
        changes += [f"- {one}" for one in removed if (_name(one) in own) is ours]
        if changes:
            told.append(f"{what} ({', '.join(changes)})")
    return "; ".join(told)


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line.partition(" --")[0]).name)
    except InvalidRequirement:
        return line


def _short(digest: Digest) -> str:
    return digest[: len("sha256:") + 12]


def ordered(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Sorted by name, as they stand in a :class:`Resolution`."""
    return tuple(sorted(packages, key=lambda one: one.name))


def file_of(url: str) -> str:
    """The name of the file at a URL."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
