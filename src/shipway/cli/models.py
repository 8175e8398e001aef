"""``shipway models``: list them; show one version with its lineage and the ledger; where versions were live."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from shipway.cli.hubs import connect
from shipway.cli.moments import local
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.cli.tables import age, size, table
from shipway.deploy.documents import OBJECTS, numbers

_SIGNATURE = (("takes", "inputs"), ("gives", "outputs"))


class _Models(click.Group):
    """``optimize`` brings something up; what that imports takes 0.2 s, which the others need not pay."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "optimize"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "optimize":
            command: click.Command = importlib.import_module("shipway.cli.optimize").optimize
            return command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Models, invoke_without_command=True)
@read_output
@click.pass_context
def models(context: click.Context, output: str) -> None:
    """List models."""
    if context.invoked_subcommand is None:
        items = connect().get(f"{OBJECTS}/models")["items"]
        emit(items, output, table("Model", items, datetime.now(UTC), wide=output == "wide"))


@models.command()
@click.argument("reference", metavar="NAME[:N]")
@read_output
def show(reference: str, output: str) -> None:
    """Show the versions of a model; with :N (a number or an alias), one with its lineage."""
    name, _, ref = reference.partition(":")
    model = connect().get(f"{OBJECTS}/models/{name}")
    if not ref:
        emit(model, output, _versions(model, datetime.now(UTC)))
        return
    detail = connect().get(f"/v1/models/{name}/versions/{ref}")
    emit(detail, output, _detail(name, detail))


@models.command()
@click.argument("name")
@read_output
def history(name: str, output: str) -> None:
    """Show where and when the versions of a model had all the traffic of a service, by whom and why."""
    tenures = connect().get(f"/v1/models/{quote(name)}/history")["tenures"]
    emit(tenures, output, _tenures(name, tenures, datetime.now(UTC)))


def _tenures(name: str, tenures: Sequence[Mapping[str, Any]], now: datetime) -> str:
    if not tenures:
        return f"no version of {name} was live yet"
    rows = [
        (
            f"{one['model']}:{one['version']}",
            local(one["since"], now),
            local(one["until"], now) if one["until"] else "now",
            f"{one['cluster']}/{one['service']}/{one['revision']}",
            one["by"] or "-",
            one["why"] or "-",
        )
        for one in reversed(tenures)
    ]
    return aligned([("VERSION", "LIVE FROM", "TO", "WHERE", "BY", "WHY"), *rows])


def _versions(model: Mapping[str, Any], now: datetime) -> str:
    status = model.get("status", {})
    names: dict[int, list[str]] = {}
    for alias, number in status.get("aliases", {}).items():
        names.setdefault(number, []).append(alias)
    rows = [
        (
            f"{model['metadata']['name']}:{one['number']}",
            ", ".join(names.get(one["number"], ())) or "-",
            one["format"],
            size(one["size"]),
            numbers(one.get("metrics", {})) or "-",
            one.get("gate", "none"),
            age(one["createdAt"], now),
        )
        for one in reversed(status.get("versions", ()))
    ]
    return aligned([("VERSION", "ALIASES", "FORMAT", "SIZE", "METRICS", "GATE", "AGE"), *rows])


def _detail(name: str, detail: Mapping[str, Any]) -> str:
    version, lineage = detail["version"], detail.get("lineage", {})
    rows = [("version", f"{name}:{version['number']}"), ("digest", version["digest"]), ("format", version["format"])]
    rows += [("size", size(version["size"])), ("metrics", numbers(version.get("metrics", {})) or "-")]
    rows += [("gate", ": ".join(filter(None, [version.get("gate", "none"), version.get("gateReason", "")])))]
    signature = version.get("signature") or {}
    rows += [(word, _tensors(signature[key])) for word, key in _SIGNATURE if signature.get(key)]
    rows += [
        (key, _short(value))
        for key, value in sorted(lineage.items())
        if value and key not in {*dict(rows), "gateReason", "components"}
    ]
    rows += [(f"  {key}", str(value)) for key, value in sorted(lineage.get("components", {}).items())]
    ledger = [f"{entry['at']}  {entry['reason']}: {entry['message']}" for entry in detail.get("ledger", ())]
    return aligned(rows) + ("\n\nledger\n" + "\n".join(ledger) if ledger else "")


def _tensors(tensors: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['name']} {one['datatype']} {one['shape']}" for one in tensors)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
