"""Data sets as the faces ask for them: which path of the API, which body. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from shipway.deploy.transfers import local
from shipway.errors import UserError

DATA: Final = "/v1/data"


def data_of(name: str) -> str:
    """Where a data set is."""
    return f"{DATA}/{quote(name, safe='')}"


def versions_of(name: str) -> str:
    """Where its versions are, and are made."""
    return f"{data_of(name)}/versions"


def version_of(reference: str) -> str:
    """Where ``NAME[:N]`` is; without N the latest."""
    name, _, number = reference.partition(":")
    return f"{versions_of(name)}/{quote(number or 'latest', safe='')}"


def is_reference(text: str) -> bool:
    """Whether it is meant as a registry's reference; ``NAME:N`` has no slash."""
    return "/" in text


def added(source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A path or a URI as the body of an add; ``options`` that are not set are left out. Raises UserError."""
    given = {name: value for name, value in options.items() if value}
    if "://" in source:
        return {"uri": source, **given}
    if given:
        raise UserError(
            f"{source} is a path of this machine: --{', --'.join(_FLAGS[one] for one in given)} is for a URI",
            next_step="Leave it out, or write s3://, gs://, az:// or file://.",
        )
    return {"path": local(source)}


def labelled(labels: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` words as labels. Raises UserError."""
    found = {}
    for one in labels:
        name, sign, value = one.partition("=")
        if not sign:
            raise UserError(f"--label {one} has no value", next_step="Write NAME=VALUE: --label residency=eu.")
        found[name] = value
    return found


_FLAGS = {"keep": "copy", "secret": "secret", "endpoint": "endpoint", "plainHttp": "plain-http"}
