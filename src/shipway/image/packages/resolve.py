"""Chooses packages for a base, to the very file: asks uv, which asks the indexes that pip knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shipway.image.lock.asked import check_hashes, parse
from shipway.image.lock.chosen import chosen, kept, wheels_in
from shipway.image.lock.resolution import Package
from shipway.image.lock.tags import is_compiled, libc_of
from shipway.image.lock.words import is_contradiction, missing_wheel, not_chosen
from shipway.image.lock.writing import preferences
from shipway.image.packages.sizes import with_sizes
from shipway.image.packages.uv import Ended, call, for_target, this_machine
from shipway.image.platform import Target
from shipway.oci import disk
from shipway.oci.scratch import scratch
from shipway.packages.pip_configuration import PipConfiguration
from shipway.packages.pip_reader import PipReader

_TRIES = 3  # when uv is killed; a machine without memory for it must come to an end
_WHEELS = ("--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Resolver:
    """``inherited`` is the environment that uv and pip get, ``scratch`` an existing folder. Safe for threads."""

    uv: Path
    pip: PipReader
    inherited: Mapping[str, str]
    scratch: Path
    machine: Target | None = field(default_factory=this_machine)

    def resolve(self, asked: Sequence[str], target: Target, pins: Sequence[Package] = ()) -> tuple[Package, ...]:
        """The packages that the lines need together on the target, sorted by name; a version of ``pins`` stays where
        it still fits, with its file.

        Wheels alone, if that can be; else, when images for the target can be built from source on this machine, source
        distributions where there is no wheel. Raises UserError, NotFound or Refused for what cannot be, in words;
        DependencyFailed, EnvironmentFault for a network or a disk that fails.
        """
        lines = [parse(line) for line in asked]
        if not lines:
            return ()
        configuration = self.pip.read()
        with disk.faults(f"write to {self.scratch}"), scratch(self.scratch) as folder:
            choice = _Choice(self, configuration, target, folder)
            text = choice.made([str(one.requirement) for one in lines], [one for one in pins if not one.direct])
        packages = kept(chosen(text, target), pins, target)
        check_hashes(lines, packages)
        return with_sizes(packages, configuration, self.inherited)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One call of :meth:`Resolver.resolve`: uv's answers lie in ``folder``."""

    resolver: Resolver
    configuration: PipConfiguration
    target: Target
    folder: Path

    def made(self, lines: Sequence[str], pins: Sequence[Package]) -> str:
        """What uv chose, as PEP 751. Raises the error that says why it chose nothing."""
        for ended in self._attempts(lines, pins):
            if ended.status == 0:
                return self._output.read_text("utf-8")
            if not is_contradiction(ended.words):
                break
        missing = missing_wheel(ended.words)
        there = self._wheels_of(missing) if missing else ()
        raise not_chosen(ended.words, ended.status, self.target, there)

    def _attempts(self, lines: Sequence[str], pins: Sequence[Package]) -> Iterator[Ended]:
        of_target = [*for_target(self.target), *_WHEELS]
        if pins:
            yield self._compiled([*lines], of_target, held=[f"{one.name}=={one.version}" for one in pins])
            # Where one pin fits no more, the others stay. Not first: of a version that two indexes have, uv 0.13 sees
            # one index alone when it prefers it, and there may be no wheel for the target.
            yield self._compiled(lines, of_target, before=preferences(pins))
        yield (ended := self._compiled(lines, of_target))
        missing = missing_wheel(ended.words)
        if missing and self._builds(missing):
            yield self._compiled(lines, for_target(self.target))

    def _builds(self, missing: str) -> bool:
        """Whether images for the target can have what is built from source on this machine."""
        here, target = self.resolver.machine, self.target
        if here is None or (here.platform, here.python.libc) != (target.platform, target.python.libc):
            return False
        if here.python.minor != target.python.minor:
            return False
        # What is compiled here runs with this libc or a newer one: not worth an hour of compiling to find that out.
        return libc_of(here) <= libc_of(target) or not any(map(is_compiled, self._wheels_of(missing)))

    def _wheels_of(self, requirement: str) -> tuple[str, ...]:
        """The names of all wheels of the version that a free choice takes; none where it cannot be known."""
        anywhere = ["--universal", "--no-deps", "--python-version", self.target.python.version, *_WHEELS]
        ended = self._compiled([requirement], anywhere)
        return wheels_in(self._output.read_text("utf-8")) if ended.status == 0 else ()

    def _compiled(
        self, lines: Sequence[str], options: Sequence[str], *, held: Sequence[str] = (), before: str = ""
    ) -> Ended:
        for name, content in (("asked.txt", lines), ("held.txt", held)):
            Path(self.folder, name).write_text("".join(f"{line}\n" for line in content), "utf-8")
        command = ["compile", "--quiet", "--no-header", "--format", "pylock.toml"]
        command += ["-o", str(self._output), "asked.txt", *options]
        constraints = [*self.configuration.constraints, "held.txt"]
        for _ in range(_TRIES):
            self._output.unlink(missing_ok=True)
            if before:
                self._output.write_text(before, "utf-8")
            ended = call(
                self.resolver.uv,
                command,
                self.configuration,
                self.resolver.inherited,
                self.folder,
                constraints=constraints,
            )
            if not ended.killed:
                break
        return ended

    @property
    def _output(self) -> Path:
        return self.folder / "pylock.toml"
