"""A base, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.image.bases import names
from shipway.image.platform import Platform, Python, Target
from shipway.oci import Descriptor


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform that lies in the layout; files can be taken out of it."""

    name: str  # as the user wrote it, in full: "docker.io/library/python:3.11-slim", "debian:bookworm"
    manifest: Descriptor
    platform: Platform
    config: Mapping[str, Any]  # the image's config, as it stands there
    layers: tuple[Descriptor, ...]

    @property
    def public_name(self) -> str:
        """What an image and its papers may say of it: the name, but nothing (``""``) of a path. That means nothing
        elsewhere, tells who built and where, and would give each folder another digest."""
        return "" if isinstance(names.parse(self.name)[1], names.InFiles) else self.name


@dataclass(frozen=True, slots=True)
class Base(Image):
    """An image with a Python, and what must be known of it to build on it."""

    python: Python
    top: frozenset[str] = frozenset()  # the names at the root of its file system: "bin", "etc"
    passwd: str = ""  # the text of /etc/passwd and /etc/group, empty where there is none
    group: str = ""

    @property
    def target(self) -> Target:
        return Target(self.platform, self.python)
