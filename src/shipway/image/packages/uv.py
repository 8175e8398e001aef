"""uv, called for the Python of an image: with pip's configuration, and nothing else of this machine."""

from __future__ import annotations

import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shipway.errors import UserError
from shipway.image.lock.tags import uv_platform
from shipway.image.platform import Platform, Python, Target
from shipway.packages.pip_configuration import PipConfiguration, uv_environment
from shipway.packages.uv import start_uv


@dataclass(frozen=True, slots=True)
class Ended:
    """How a uv ended, and its words without secrets."""

    status: int
    words: str

    @property
    def killed(self) -> bool:
        """Somebody ended it with -9, the kernel for want of memory: that says nothing about the packages."""
        return self.status == -signal.SIGKILL


def for_target(target: Target) -> list[str]:
    """The options that make uv choose for that machine. Raises Refused for a libc for which wheels are not made."""
    return ["--python-version", target.python.version, "--python-platform", uv_platform(target)]


def call(
    uv: Path,
    arguments: Sequence[str],
    configuration: PipConfiguration,
    inherited: Mapping[str, str],
    folder: Path,
    *,
    constraints: Sequence[str] = (),
) -> Ended:
    """Run ``uv pip ARGUMENTS`` in the folder; ``constraints`` are files. Raises DependencyFailed when uv cannot be
    started."""
    # Not the interpreter that packages are for, which may be another machine's: uv wants one that it can run.
    command = ["pip", *arguments, "--python", sys.executable]
    if configuration.no_index:
        command.append("--no-index")
    environ = uv_environment(configuration, inherited)
    environ["UV_LINK_MODE"] = "hardlink"  # of the cache's files, where it can: a copy of torch takes seconds
    # Not as options: uv would forget pip's own for those. Where all is pinned and hashed it wants none at all.
    environ["UV_CONSTRAINT"] = " ".join(constraints)
    with start_uv(uv, command, environ, folder) as process:
        output, words = process.communicate()
    return Ended(process.returncode, configuration.redact(words + output))


def this_machine() -> Target | None:
    """What packages are built for when they are built here; None on a machine that no image is made for."""
    libc, version = platform.libc_ver()
    kind: Literal["glibc", "musl"] = "glibc" if libc == "glibc" else "musl"
    try:
        here = Platform.of_machine(platform.machine())
    except UserError:
        return None
    return Target(here, Python(platform.python_version(), sys.executable, kind, version))
