"""Where the API keeps models and their versions: paths for command line and client. Pure, and no pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from shipway.errors import UserError

MODELS = "/v1/models"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"  # type of the referrers that are signatures


def model_path(name: str) -> str:
    """A model. Raises UserError for ``""``."""
    if not name:
        raise UserError("a model has a name", next_step="write NAME or NAME:N, as digits:3")
    return f"{MODELS}/{quote(name, safe='')}"


def versions_path(name: str, limit: int, before: int | None = None) -> str:
    """A page of a model's versions, newest first; ``limit`` 0 is all, ``before`` leaves out from that number on."""
    return asked(f"{model_path(name)}/versions", {"limit": limit, "before": before})


def version_path(name: str, ref: str) -> str:
    """One version, by number or alias."""
    return f"{model_path(name)}/versions/{quote(ref, safe='')}"


def alias_path(name: str, alias: str) -> str:
    """An alias of a model."""
    return f"{model_path(name)}/aliases/{quote(alias, safe='')}"


def asked(path: str, query: Mapping[str, object]) -> str:
    """The path with what of the query is not None, "" or False."""
    given = {name: value for name, value in query.items() if value is not None and value is not False and value != ""}
    texts = {name: "true" if value is True else value for name, value in given.items()}
    return f"{path}?{urlencode(texts)}" if texts else path


def split(reference: str, default: str = "") -> tuple[str, str]:
    """``digits:3`` as name and number or alias; ``default`` where it says neither. Raises UserError without both."""
    name, _, ref = reference.partition(":")
    if not name or not (ref or default):
        raise UserError(f"{reference!r} names no version", next_step="write NAME:N or NAME:ALIAS, as digits:3")
    return name, ref or default
