"""Versions that move, as the faces ask for them: which path of the API, which reference, which name. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shipway.deploy.catalog import model_path, split, version_path
from shipway.errors import UserError

CHAMPION: Final = "champion"  # as kinds has it, which would cost a command 200 ms of pydantic
_LAYOUT = "oci:"


def versions_of(name: str) -> str:
    """Where a model's versions are made. Raises UserError for ``""``."""
    return f"{model_path(name)}/versions"


def version_of(reference: str, verb: str) -> str:
    """Where something is asked of ``NAME[:N|ALIAS]``: ``push``, ``export``, ``verify``. Without N: of the champion.
    Raises UserError for what names none."""
    return f"{version_path(*split(reference, CHAMPION))}/{verb}"


def push_target(version: str, reference: str | None, registry: str) -> str:
    """Where ``NAME[:N]`` goes: the reference that was given, or the name in the default registry; the hub adds the
    tag. Raises UserError when there is neither."""
    if reference:
        return reference
    name = version.partition(":")[0]
    if not registry:
        raise UserError(
            f"it is not said where {name} goes",
            next_step=f"Name a reference (HOST[:PORT]/TEAM/{name}), or set SHIPWAY_REGISTRY=HOST[:PORT]/TEAM.",
        )
    return f"{registry.rstrip('/')}/{name}"


def name_in(reference: str) -> str:
    """How a version is called by default that is pulled: as the last part of the repository, as far as models can.

    Raises UserError where no name can be made of it.
    """
    part = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    name = re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")
    if not name[:1].isalpha():
        raise UserError(
            f"{reference!r} gives no name: {part!r} does not begin with a letter",
            next_step="Name it yourself: --as NAME",
        )
    return name


def verification(version: str, *, plain_http: bool) -> tuple[str, Mapping[str, Any]]:
    """The path and the body that verify ``NAME[:N|ALIAS]``, or a registry's reference: that one has a slash."""
    if "/" not in version and "@" not in version:
        return version_of(version, "verify"), {}
    return "/v1/verify", {"reference": version, "plainHttp": plain_http}


def destination(text: str) -> Mapping[str, Any]:
    """``FOLDER``, ``FILE.tar`` or ``oci:FOLDER`` as an export's body."""
    form = "layout" if text.startswith(_LAYOUT) else "archive" if text.endswith(".tar") else "files"
    return {"path": local(text.removeprefix(_LAYOUT) if form == "layout" else text), "form": form}


def local(path: str | Path) -> str:
    """The path as the hub, whose working directory is another, must have it."""
    return str(Path(path).expanduser().absolute())
