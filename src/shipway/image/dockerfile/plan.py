"""Which stages of a Dockerfile are built, in which order. Pure; what cannot be done is said before anything is read.

Source: https://docs.docker.com/build/building/multi-stage/; as BuildKit, a stage that the target does not need is
passed over, whatever stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shipway.errors import Refused, UserError
from shipway.image.bases import names
from shipway.image.dockerfile.pip import NotPackages
from shipway.image.dockerfile.run import asks
from shipway.image.dockerfile.value import Dockerfile, Instruction, Section, wrong
from shipway.image.dockerfile.words import expand, pairs, split
from shipway.image.platform import Platform

# Docker takes these from --build-arg without an ARG; only RUN reads them.
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"})


@dataclass(frozen=True, slots=True)
class Arguments:
    """What ARG finds: ``given`` with --build-arg, ``common`` before the first FROM, and those that Docker defines."""

    given: Mapping[str, str]
    common: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage to be built. ``parent``: the number of an earlier one, or an image's name. ``origins``: what its
    ``COPY --from`` mean, by what stands there."""

    number: int
    section: Section
    parent: int | str
    platform: Platform
    arguments: Arguments
    origins: Mapping[str, int | str]
    escape: str

    @property
    def title(self) -> str:
        return self.section.name or str(self.number)


def plan(
    dockerfile: Dockerfile, given: Mapping[str, str], target: str, platform: Platform, here: Platform
) -> tuple[Stage, ...]:
    """The stages that the ``target`` needs (``""``: the last), in order; the last of them is the target.

    ``given`` are --build-arg, ``here`` is the platform of this machine. Raises UserError with the line for what is
    wrong, Refused with all lines that only a shell, a compiler or a daemon could do.
    """
    arguments = Arguments(given, _common(dockerfile, given, platform, here))
    stages = [_stage(dockerfile, number, arguments, platform) for number in range(len(dockerfile.sections))]
    needed: set[int] = set()
    _need(stages, _target(dockerfile, target), needed)
    chosen = tuple(stages[number] for number in sorted(needed))
    _refuse_what_cannot_be(chosen)
    return chosen


def root(stages: tuple[Stage, ...], stage: Stage) -> tuple[str, Platform]:
    """The image that a stage stands on in the end."""
    numbered = {one.number: one for one in stages}
    while isinstance(stage.parent, int):
        stage = numbered[stage.parent]
    return stage.parent, stage.platform


def unused(dockerfile: Dockerfile, given: Mapping[str, str]) -> tuple[str, ...]:
    """The --build-arg that no ARG asks for, as Docker warns of them."""
    asked = {name for one in _all(dockerfile) if one.keyword == "ARG" for name, _ in declared(one, dockerfile.escape)}
    return tuple(name for name in given if name not in asked and name.upper() not in _PROXIES)


def declared(at: Instruction, escape: str) -> tuple[tuple[str, str | None], ...]:
    """The names of an ARG with their defaults, not expanded. Raises UserError."""
    found = [word.partition("=") for word in split(at.text, escape)]
    if not all(name for name, _, _ in found):
        raise wrong(at, "a name is empty", "Write ARG NAME=default.")
    return tuple((name, value if equals else None) for name, equals, value in found)


def expanded(at: Instruction, word: str, variables: Mapping[str, str], escape: str) -> str:
    """As :func:`expand`; what is wrong is said with the line."""
    try:
        return expand(word, variables, escape)
    except ValueError as error:
        raise wrong(at, f"{word}: {error}") from error


def _common(dockerfile: Dockerfile, given: Mapping[str, str], platform: Platform, here: Platform) -> Mapping[str, str]:
    known: dict[str, str] = {}
    for prefix, one in (("TARGET", platform), ("BUILD", here)):
        known |= {f"{prefix}PLATFORM": str(one), f"{prefix}OS": "linux", f"{prefix}ARCH": one.architecture}
        known[f"{prefix}VARIANT"] = ""
    for at in dockerfile.arguments:
        for name, default in declared(at, dockerfile.escape):
            value = None if default is None else expanded(at, default, known, dockerfile.escape)
            if (value := given.get(name, value)) is not None:
                known[name] = value
    return known


def _stage(dockerfile: Dockerfile, number: int, arguments: Arguments, platform: Platform) -> Stage:
    section, start = dockerfile.sections[number], dockerfile.sections[number].start
    earlier = {one.name: index for index, one in enumerate(dockerfile.sections[:number]) if one.name}
    image = expanded(start, section.image, arguments.common, dockerfile.escape)
    if not image:
        raise wrong(start, f"{section.image} is empty", "Give the ARG before FROM a default, or --build-arg.")
    own = expanded(start, section.platform, arguments.common, dockerfile.escape)
    parent = earlier.get(image.lower(), image)
    if parent == "scratch":
        raise wrong(start, "scratch has no Python", "FROM an image with a Python, or build with --with buildah.")
    _check(start, parent)
    try:
        chosen = Platform.parse(own) if own else platform
    except UserError as error:
        raise wrong(start, error.message, error.next_step) from error
    origins = dict(_origins(section, number, earlier))
    return Stage(number, section, parent, chosen, arguments, origins, dockerfile.escape)


def _origins(section: Section, number: int, earlier: Mapping[str, int]) -> Iterator[tuple[str, int | str]]:
    for at in section.instructions:
        name = at.flag("from")
        if at.keyword != "COPY" or not name:
            continue
        if "$" in name:
            raise wrong(at, f"--from={name}: Docker expands no variables there", "Name a stage: FROM $IMAGE AS tools.")
        origin: int | str = earlier.get(name.lower(), name)
        if name.isdecimal() and name not in earlier:
            if int(name[:9]) >= number:
                raise wrong(at, f"--from={name}: there is no earlier stage of that number")
            origin = int(name)
        _check(at, origin)
        yield name, origin


def _check(at: Instruction, image: int | str) -> None:
    """Raises UserError for what is no name of an image."""
    try:
        names.parse(str(image))
    except UserError as error:
        raise wrong(at, error.message, error.next_step) from error


def _target(dockerfile: Dockerfile, target: str) -> int:
    names = [section.name for section in dockerfile.sections]
    if not target:
        return len(names) - 1
    if target.lower() in names:  # of two with one name, the last counts
        return len(names) - 1 - names[::-1].index(target.lower())
    if target.isdecimal() and int(target[:9]) < len(names):
        return int(target)
    known = ", ".join(name or str(number) for number, name in enumerate(names))
    raise UserError(f"{dockerfile.name} has no stage {target!r}", next_step=f"Its stages: {known}.")


def _need(stages: list[Stage], number: int, needed: set[int]) -> None:
    waiting = [number]
    while waiting:
        one = waiting.pop()
        if one not in needed:
            needed.add(one)
            below = (stages[one].parent, *stages[one].origins.values())
            waiting += [number for number in below if isinstance(number, int)]


def _refuse_what_cannot_be(stages: tuple[Stage, ...]) -> None:
    refused: list[tuple[Instruction, str, str]] = []
    known: dict[int, dict[str, str]] = {}
    for stage in stages:
        variables = dict(known[stage.parent]) if isinstance(stage.parent, int) else {}
        known[stage.number] = variables
        for at in stage.section.instructions:
            variables |= _said(at, variables, stage)
            if why := _cannot(at, variables):
                refused.append((at, *why))
    if not refused:
        return
    lines = [f"{wrong(at, reason).message}\n    {at}" for at, reason, _ in refused]
    advice = dict.fromkeys(f"line {at.line}: {advice}" for at, _, advice in refused if advice)
    raise Refused(
        "\n".join(lines),
        next_step="\n".join(
            [*advice, "Else move it into the base image, or hand the whole Dockerfile to buildah: --with buildah."]
        ),
    )


def _said(at: Instruction, variables: Mapping[str, str], stage: Stage) -> Mapping[str, str]:
    """The variables of an ENV or ARG, as far as they are known without the base's; faults in them are told later."""
    arguments = stage.arguments
    try:
        if at.keyword == "ENV":
            return {name: expand(value, variables, stage.escape) for name, value in pairs(at.text, stage.escape)}
        found = declared(at, stage.escape) if at.keyword == "ARG" else ()
        defaults = {**arguments.common, **{name: value for name, value in found if value is not None}}
        return {
            name: arguments.given.get(name, expand(defaults.get(name, ""), variables, stage.escape))
            for name, _ in found
        }
    except (ValueError, UserError):
        return {}


def _cannot(at: Instruction, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """Why an instruction cannot be done here and what to do instead; None when it can, as far as can be seen yet."""
    if at.keyword == "RUN":
        try:
            asks(at, variables)
        except NotPackages as error:
            return str(error), error.advice
    elif at.heredoc:
        return "a here-document is not read", "Put the text into a file, and COPY that."
    elif at.keyword == "ADD" and any(_remote(word) for word in at.words or at.text.split()):
        return "nothing is fetched from a URL", "Fetch it beside the Dockerfile, and COPY it."
    flags = [name for name, _ in at.flags if name in ("exclude", "parents", "unpack", "checksum", "device")]
    return (f"--{flags[0]} is not done here", "") if flags else None


def _remote(word: str) -> bool:
    return "://" in word or word.startswith("git@")


def _all(dockerfile: Dockerfile) -> Iterator[Instruction]:
    yield from dockerfile.arguments
    for section in dockerfile.sections:
        yield from section.instructions
