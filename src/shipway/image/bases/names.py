"""What a base's name means: where it comes from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shipway.errors import UserError
from shipway.image.bases.suites import SUITES
from shipway.oci.reference import Reference

_DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class InRegistry:
    """``docker.io/library/python:3.11-slim``."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class InFiles:
    """``oci:FOLDER[:TAG]`` (a layout) or ``tar:FILE[:TAG]`` (an archive)."""

    path: Path
    tag: str = ""
    archive: bool = False


@dataclass(frozen=True, slots=True)
class MadeHere:
    """``debian:bookworm``."""

    suite: str


Source = InRegistry | InFiles | MadeHere


def parse(name: str) -> tuple[str, Source]:
    """A name in full, and what it means. Raises UserError.

    As with Docker, what names no registry is Docker Hub's: ``python:3.11-slim``, ``team/base:1``.
    """
    kind, colon, rest = name.partition(":")
    if kind in ("oci", "tar") and colon:
        path, _, tag = rest.partition(":")  # as skopeo does: a tag may have a colon, and a slash
        if not path:
            raise UserError(f"the base {name!r} names no file", next_step=f"Write {kind}:PATH or {kind}:PATH:TAG.")
        return name, InFiles(Path(path), tag, archive=kind == "tar")
    if kind == "debian" and rest in SUITES:
        return name, MadeHere(rest)
    reference = Reference.parse(_in_full(name))
    if reference.tag is None and reference.digest is None:
        reference = reference.tagged("latest")
    return str(reference), InRegistry(reference)


def _in_full(name: str) -> str:
    first, slash, _ = name.partition("/")
    if not slash:
        return f"{_DOCKER_HUB}/library/{name}"
    if "." in first or ":" in first or first == "localhost":
        return name
    return f"{_DOCKER_HUB}/{name}"
