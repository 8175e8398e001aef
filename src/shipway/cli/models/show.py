"""``shipway models show``: the versions of a model; with a number, one with its lineage and the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.cli.tables import age, size
from shipway.deploy.documents import OBJECTS, numbers

_SIGNATURE = (("takes", "inputs"), ("gives", "outputs"))


@click.command()
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
