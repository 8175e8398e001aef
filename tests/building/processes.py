"""``shipway build`` as a process of its own, with wheels that the test made and no index."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.building.conftest import Builds
from tests.image.made_wheels import wheel

SHIPWAY = Path(sys.executable).parent / "shipway"

REQUIREMENTS = "greeter>=1\n"
SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: echo}
spec:
  command: [python, echo.py]
"""


@dataclass(frozen=True, slots=True)
class Shell:
    """How the command is called: with which variables, and by whom."""

    builds: Builds
    env: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()

    def start(self, folder: Path, *options: str) -> subprocess.Popen[str]:
        command = [*self.before, str(SHIPWAY), "build", str(folder), "--base", self.builds.base, "-o", "json", *options]
        return subprocess.Popen(
            command,
            env={**self.variables(), **self.env},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def variables(self) -> dict[str, str]:
        root = self.builds.root
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "SHIPWAY_HOME": str(self.builds.where.home),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(root / "wheels"),
            "UV_CACHE_DIR": str(root / "uv"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def with_wheels(builds: Builds) -> Path:
    """A project that needs a package, and the folder where pip finds it."""
    wheels = builds.root / "wheels"
    wheels.mkdir(exist_ok=True)
    wheel(wheels, "greeter", "1.0")
    return builds.project(
        shipway_yaml=SERVICE, echo_py="import greeter\nprint('hello')\n", requirements_txt=REQUIREMENTS
    )
