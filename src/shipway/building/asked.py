"""What a caller asks of a build: the options of ``shipway build`` as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipway.image.layer import Compression
from shipway.image.locking import Mode
from shipway.image.platform import Platform


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile to build by. ``with_buildah``: what is more than copies and packages goes to buildah."""

    path: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    with_buildah: bool = False


@dataclass(frozen=True, slots=True)
class Goals:
    """Where the images go beside the home's layout. ``push``: None not at all, ``""`` to $SHIPWAY_REGISTRY."""

    push: str | None = None
    tags: tuple[str, ...] = ()
    archive: Path | None = None
    plain_http: bool | str | None = None  # as Registry has it


@dataclass(frozen=True, slots=True)
class Asked:
    """What to build, and how. Empty: what the project and its locks say, else the defaults."""

    folder: Path
    only: tuple[str, ...] = ()  # KIND/NAME
    name: str = ""
    base: str = ""
    platforms: tuple[Platform, ...] = ()
    mode: Mode = "keep"
    models: tuple[str, ...] = ()  # NAME[:VERSION]
    compression: Compression = "zstd"
    bytecode: bool = False
    allow: tuple[str, ...] = ()
    dockerfile: Dockerfile | None = None
    courier: bool = False
    any_version: bool = False  # a service's image is made before the version that it will serve
    goals: Goals = Goals()
