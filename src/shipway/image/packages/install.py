"""Installs locked packages below a folder, as a virtual environment of the image's Python has them: uv unpacks them.

The folder is a prefix: ``lib/pythonX.Y/site-packages/``, ``bin/``, ``share/``, ``include/site/pythonX.Y/``, where X.Y
is that of the Python that runs Shipway, whatever the image's is. It is not yet what goes into a layer: who makes one
must

- leave out ``.lock``, and in each ``*.dist-info``: ``uv_cache.json`` (times), ``uv_build.json``, ``direct_url.json``
  (where the file was found), ``REQUESTED`` (all are), ``INSTALLER`` ("uv");
- make the programs of ``entry_points.txt`` anew, and mend the first line of the scripts in ``bin/`` that came with a
  wheel: both name this machine's Python;
- write ``RECORD`` anew: it lists all of these with their hashes, its other lines are the same everywhere;
- put ``pythonX.Y`` right, take modes as "executable or not" (``0o100``), and no times: they are the download's;
- change no file in place: it is the one in uv's cache (a hard link).

All other bytes are those of the wheels, whose hashes were compared with the lock. A package built from source has what
its build made: uv keeps it in its cache by the hash of the source, so it is the same here as long as the cache lives,
and elsewhere where its build puts in nothing of time, place and compiler. Such a layer's key is the hash of the source.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shipway.errors import EnvironmentFault, Refused
from shipway.image.lock.chosen import no_wheel
from shipway.image.lock.resolution import Package
from shipway.image.lock.tags import libc_of, rank
from shipway.image.lock.words import not_installed, replaced
from shipway.image.packages.uv import Ended, call, for_target, this_machine
from shipway.image.platform import Target
from shipway.oci import disk
from shipway.oci.scratch import scratch
from shipway.packages.pip_configuration import PipConfiguration
from shipway.packages.pip_reader import PipReader

_TRIES = 3  # when uv is killed


@dataclass(frozen=True, slots=True)
class Installer:
    """``inherited`` is the environment that uv and pip get, ``scratch`` an existing folder. Safe for threads."""

    uv: Path
    pip: PipReader
    inherited: Mapping[str, str]
    scratch: Path
    machine: Target | None = field(default_factory=this_machine)

    def install(self, packages: Sequence[Package], target: Target, into: Path) -> None:
        """Make the folder ``into``, whole or not at all; what a killed process leaves is ``.installing-*`` beside it.

        Files are hard links to those of uv's cache where that lies on the same disk. Raises Refused for a wheel that
        does not fit the target, Corrupt for a file that is not the locked one, NotFound for one that is gone,
        DependencyFailed and EnvironmentFault for a network or a disk that fails.
        """
        for package in packages:
            if package.wheel is not None and rank(package.wheel.name, target) is None:
                raise no_wheel(f"{package.name} {package.version}", target, package.wheel.name)
        with disk.faults(f"write to {into.parent}"):
            making = Path(tempfile.mkdtemp(dir=into.parent, prefix=".installing-"))
            try:
                if packages:
                    self._fill(packages, target, making)
                for package in packages:
                    if package.wheel is None:
                        self._check_built(package, target, making)
                making.rename(into)
            finally:
                shutil.rmtree(making, ignore_errors=True)

    def _fill(self, packages: Sequence[Package], target: Target, making: Path) -> None:
        configuration = self.pip.read()
        by_address = {one.name for one in packages if one.direct}
        while True:
            lines = [_line(one, one.name in by_address) for one in packages]
            ended = self._run(lines, all(one.wheel for one in packages), target, configuration, making)
            if ended.status == 0:
                return
            other = replaced(ended.words)
            # Of a version that two indexes have, uv 0.13 sees the first index's file alone: the lock knows its place.
            if other in by_address or not any(_has_place(one) for one in packages if one.name == other):
                raise not_installed(ended.words, ended.status, packages, target)
            by_address.add(other)

    def _run(
        self, lines: Sequence[str], wheels: bool, target: Target, configuration: PipConfiguration, making: Path
    ) -> Ended:
        command = ["install", "--prefix", str(making), "--no-deps", "--require-hashes", *for_target(target)]
        command += ["--no-build"] if wheels else []
        with scratch(self.scratch) as folder:
            pinned = folder / "requirements.txt"
            pinned.write_text("".join(f"{line}\n" for line in lines), "utf-8")
            command += ["-r", str(pinned)]
            for _ in range(_TRIES):
                shutil.rmtree(making)
                making.mkdir(mode=0o700)
                ended = call(self.uv, command, configuration, self.inherited, pinned.parent)
                if not ended.killed:
                    break
        return ended

    def _check_built(self, package: Package, target: Target, prefix: Path) -> None:
        """What was compiled here needs a libc as new as this machine's, and no tag of the wheel says so."""
        here = self.machine
        if here is None or libc_of(here) <= libc_of(target) or _is_pure(prefix, package):
            return
        raise Refused(
            f"{package.name} {package.version} was compiled from source against {here.python.libc} "
            f"{here.python.libc_version} of this machine; the base has {target.python.libc_version}",
            next_step="take a newer base, build on an older system, or ask for a version that has a wheel",
        )


def _line(package: Package, by_address: bool) -> str:
    where = f" @ {package.file.url}" if by_address else f"=={package.version}"
    return f"{package.name}{where} --hash=sha256:{package.file.sha256}"


def _has_place(package: Package) -> bool:
    url = urlsplit(package.file.url)
    return url.scheme in ("http", "https") or (url.scheme == "file" and Path(unquote(url.path)).is_file())


def _is_pure(prefix: Path, package: Package) -> bool:
    name = package.name.replace("-", "_")
    for folder in prefix.glob("lib*/python*/site-packages/*.dist-info"):
        if folder.name.partition("-")[0].lower().replace(".", "_") == name:
            tags = [line for line in (folder / "WHEEL").read_text("utf-8").splitlines() if line.startswith("Tag:")]
            return all(line.endswith("-any") for line in tags)
    raise EnvironmentFault(f"uv said that it installed {package.name}, and it is not there", next_step="run it again")
