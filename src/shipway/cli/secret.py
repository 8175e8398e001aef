"""``shipway secret``: values that go in and are never shown again."""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.options import act_output, read_output
from shipway.cli.output import aligned, emit
from shipway.cli.starting import ensured
from shipway.errors import UserError


@click.group()
def secret() -> None:
    """Values for env that never stand in YAML: {secret: {name: NAME, key: KEY}}."""


@secret.command("set")
@click.argument("name")
@click.argument("key")
@act_output
def store(name: str, key: str, output: str) -> None:
    """Store a value, read from stdin or asked for without echo.

    Never an argument: those can be read by every user of the machine. A last newline is dropped.
    """
    value = _value(f"{name}/{key}")
    ensured().upload(_path(name, key), value, len(value))
    emit({"name": name, "key": key}, output, f"{name}/{key} is set")


@secret.command("list")
@read_output
def show(output: str) -> None:
    """List names and keys, never values."""
    found = connect().get("/v1/secrets")["secrets"]
    rows = [("NAME", "KEYS"), *((name, ", ".join(keys)) for name, keys in sorted(found.items()))]
    emit(found, output, aligned(rows) if found else "no secrets yet: shipway secret set NAME KEY")


@secret.command()
@click.argument("name")
@click.argument("key", required=False)
@act_output
def delete(name: str, key: str | None, output: str) -> None:
    """Delete one KEY, or all of NAME."""
    connect().delete(_path(name, key))
    what = name if key is None else f"{name}/{key}"
    emit({"deleted": what}, output, f"{what} is deleted")


def _path(name: str, key: str | None) -> str:
    return "/".join(["/v1/secrets", *(quote(part, safe="") for part in (name, key) if part is not None)])


def _value(what: str) -> bytes:
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True)).encode()
    value = sys.stdin.buffer.read().removesuffix(b"\n")
    if not value:
        raise UserError(
            f"no value for {what}: stdin is empty",
            next_step=f"printf %s VALUE | shipway secret set {what.replace('/', ' ')}",
        )
    return value
