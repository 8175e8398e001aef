"""NAME and NAME:N as arguments: the shell completes them with what the hub has, when one runs."""

from __future__ import annotations

from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from shipway.cli.hubs import connect
from shipway.deploy.catalog import MODELS, versions_path
from shipway.errors import ShipwayError

_OFFERED = 20  # versions


class _Reference(click.ParamType[str]):
    name = "reference"

    def __init__(self, *, versions: bool) -> None:
        self._versions = versions

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        with suppress(ShipwayError):
            return [CompletionItem(one) for one in self._offered(incomplete) if one.startswith(incomplete)]
        return []

    def _offered(self, incomplete: str) -> list[str]:
        name, colon, _ = incomplete.partition(":")
        if not (colon and self._versions):
            return [one["name"] for one in connect().get(MODELS)["models"]]
        page = connect().get(versions_path(name, _OFFERED))
        return [f"{name}:{one}" for one in (*page["aliases"], *(one["number"] for one in page["versions"]))]


MODEL = _Reference(versions=False)
VERSION = _Reference(versions=True)
