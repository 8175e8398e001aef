"""Requirement lines: what is allowed in them, their one normal form, and whether an interpreter satisfies them.

No I/O here: what is installed comes in as a function. Format of a line: PEP 508
(https://packaging.python.org/en/latest/specifications/dependency-specifiers/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from shipway.packages.pip_configuration import redact
from shipway.packages.requirement import parse_line


@dataclass(frozen=True, slots=True)
class Python:
    """What of an interpreter decides which wheels fit: ``cpython-3.11.7`` on ``linux-x86_64``."""

    name: str
    version: str
    platform: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version} {self.platform}"


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed distribution: its version and its ``Requires-Dist`` lines."""

    version: str
    requires: tuple[str, ...] = ()


Lookup = Callable[[str], Installed | None]


def normalised(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines in normal form, sorted, each once, without passwords: equal sets of requirements give equal results.

    Raises UserError for a line that is not a requirement.
    """
    return tuple(sorted({redact(_normal(parse_line(line))) for line in lines}))


def lacking(lines: Iterable[str], installed: Lookup, markers: Mapping[str, str], *, pinned: bool) -> str | None:
    """Why what is installed is not what the lines ask for, or None when it is.

    With ``pinned`` a line must name its version with one ``==``, and what it allows must be there with everything
    that its extras need. ``markers`` is the marker environment. Raises UserError for a line that is not a requirement.
    """
    for requirement in map(parse_line, lines):
        if _applies(requirement, markers):
            reason = (pinned and _not_pinned(requirement)) or _missing(requirement, installed, markers, frozenset())
            if reason:
                return redact(reason)
    return None


def closure(lines: Iterable[str], installed: Lookup, markers: Mapping[str, str]) -> tuple[str, ...]:
    """What is installed of the lines and of all that they need, as sorted ``name==version``; what is not is left out.

    ``markers`` is the marker environment. Raises UserError for a line that is not a requirement.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [one for one in map(parse_line, lines) if _applies(one, markers)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        asked = {(name, extra) for extra in ("", *map(canonicalize_name, requirement.extras))} - seen
        found = installed(name) if asked else None
        if found is not None:
            versions[name] = found.version
            waiting += [needed for _, extra in asked for needed in _needed(found, markers, extra)]
        seen |= asked
    return tuple(sorted(f"{name}=={version}" for name, version in versions.items()))


def _needed(found: Installed, markers: Mapping[str, str], extra: str) -> Iterator[Requirement]:
    for line in found.requires:
        # Old packages have lines from before PEP 508, like "six (>=1.0.*)"; they work, and must not stop a job.
        with suppress(InvalidRequirement):
            needed = Requirement(line)
            if _applies(needed, markers, extra):
                yield needed


def _normal(requirement: Requirement) -> str:
    return f"{_text(requirement)}; {requirement.marker}" if requirement.marker else _text(requirement)


def _text(requirement: Requirement) -> str:
    # Not str(requirement): its spelling differs between versions of packaging, and a fingerprint is kept for years.
    extras = ",".join(sorted(canonicalize_name(extra) for extra in requirement.extras))
    name = canonicalize_name(requirement.name) + (f"[{extras}]" if extras else "")
    return f"{name} @ {requirement.url}" if requirement.url else f"{name}{requirement.specifier}"


def _applies(requirement: Requirement, markers: Mapping[str, str], extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**markers, "extra": extra})


def _not_pinned(requirement: Requirement) -> str | None:
    pins = [one.operator == "==" and not one.version.endswith(".*") for one in requirement.specifier]
    return None if pins == [True] else f"{_text(requirement)} does not name one version with =="


def _missing(
    requirement: Requirement, installed: Lookup, markers: Mapping[str, str], seen: frozenset[tuple[str, str]]
) -> str | None:
    name = canonicalize_name(requirement.name)
    found = installed(name)
    if found is None:
        return f"{name} is not installed"
    if requirement.url or not requirement.specifier.contains(found.version, prereleases=True):
        return f"{_text(requirement)} is asked for, {found.version} is installed"
    for extra in requirement.extras:
        here = (name, canonicalize_name(extra))
        if here in seen:  # all = ["pkg[a]", "pkg[all]"] exists in the wild
            continue
        for needed in map(Requirement, found.requires):
            # What is needed without the extra came with the distribution itself; only the extra's own is asked for.
            wanted = _applies(needed, markers, here[1]) and not _applies(needed, markers)
            if wanted and (reason := _missing(needed, installed, markers, seen | {here})):
                return f"{_text(requirement)}: {reason}"
    return None
