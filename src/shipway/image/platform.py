"""Which machine an image is for, and which Python stands in it: what a wheel must fit. Pure.

Source: OCI image-spec v1.1.1, image-index.md ("platform"); PEP 600 and PEP 656 for glibc and musl.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from shipway.errors import UserError

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """Linux on an architecture, in OCI's words: ``amd64`` or ``arm64``."""

    architecture: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """``linux/amd64``, as Docker writes it. Raises UserError for what no image is made for here."""
        system, _, architecture = text.partition("/")
        architecture = {"arm64/v8": "arm64"}.get(architecture, architecture)
        if system != "linux" or architecture not in _MACHINES:
            allowed = ", ".join(f"linux/{one}" for one in _MACHINES)
            raise UserError(f"{text!r} is not a platform that images are made for", next_step=f"Allowed: {allowed}.")
        return cls(architecture)

    @classmethod
    def of_machine(cls, machine: str) -> Self:
        """From what the kernel says (``x86_64``). Raises UserError for another machine."""
        for architecture, one in _MACHINES.items():
            if machine == one:
                return cls(architecture)
        raise UserError(
            f"this machine is a {machine}, for which no image is made", next_step="Name one: --platform linux/amd64"
        )

    @property
    def machine(self) -> str:
        """As the kernel and wheels name it: ``x86_64``, ``aarch64``."""
        return _MACHINES[self.architecture]

    def document(self) -> dict[str, str]:
        """As it stands in an index and in an image's config."""
        return {"architecture": self.architecture, "os": "linux"}

    def __str__(self) -> str:
        return f"linux/{self.architecture}"


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter of a base: ``version`` in full (``3.11.2``), ``executable`` absolute in the image."""

    version: str
    executable: str
    libc: Literal["glibc", "musl"]
    libc_version: str  # "2.36"

    @property
    def minor(self) -> str:
        """``3.11``: what wheels and folders are named after."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Target:
    """What packages are chosen for."""

    platform: Platform
    python: Python

    def markers(self) -> dict[str, str]:
        """The variables of a marker (PEP 508) for CPython on Linux, whatever machine asks; without ``extra``."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.python.version,
            "os_name": "posix",
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.python.version,
            "python_version": self.python.minor,
            "sys_platform": "linux",
        }

    def __str__(self) -> str:
        return f"{self.platform}, Python {self.python.minor}, {self.python.libc} {self.python.libc_version}"
