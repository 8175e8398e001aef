"""``shipway models show``: the versions of a model; with a number or alias, one with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.models.ls import LIMIT, versions
from shipway.cli.models.reference import VERSION
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.deploy.catalog import SIGNATURE, version_path
from shipway.deploy.documents import numbers
from shipway.transfer import size

_TENSORS = (("takes", "inputs"), ("gives", "outputs"))
_TOLD_ELSEWHERE = frozenset({"gate", "gateReason", "metrics", "components", "createdAt", "origin"})

_Rows = Iterator[tuple[str, str]]


@click.command()
@click.argument("reference", metavar="NAME[:N|ALIAS]", type=VERSION)
@click.option("--limit", type=click.IntRange(min=0), default=LIMIT, show_default=True, help="Versions; 0 is all.")
@read_output
def show(reference: str, limit: int, output: str) -> None:
    """Show the versions of a model; with :N (a number or an alias), one with its lineage, files and ledger."""
    name, _, ref = reference.partition(":")
    if not ref:
        versions(name, limit, None, output)
        return
    detail = connect().get(version_path(name, ref))
    emit(detail, output, _detail(name, detail))


def _detail(name: str, detail: Mapping[str, Any]) -> str:
    parts = [aligned([*_facts(name, detail), *_manifests(detail), *_lineage(detail["lineage"])])]
    files = detail["contents"]["files"]
    if files:
        rows = [(one["name"], size(one["size"]), one["layer"]) for one in files]
        parts.append("files\n" + aligned([("NAME", "SIZE", "LAYER"), *rows]))
    if detail["ledger"]:
        parts.append(
            "ledger\n" + "\n".join(f"{one['at']}  {one['reason']}: {one['message']}" for one in detail["ledger"])
        )
    return "\n\n".join(parts)


def _facts(name: str, detail: Mapping[str, Any]) -> _Rows:
    version, signatures = detail["version"], [one for one in detail["referrers"] if one["type"] == SIGNATURE]
    yield "version", f"{name}:{version['number']}"
    yield "aliases", ", ".join(detail["aliases"]) or "-"
    yield "live in", ", ".join(detail["live"]) or "-"
    yield "digest", version["digest"]
    yield "format", version["format"]
    yield "size", size(version["size"])
    yield "origin", f"{version['origin']}{', trusted' if version.get('trusted') else ''}"
    yield "made", version["createdAt"]
    yield "metrics", numbers(version.get("metrics", {})) or "-"
    yield "gate", ": ".join(filter(None, [version.get("gate", "none"), version.get("gateReason", "")]))
    signature = version.get("signature") or {}
    yield from ((word, _tensors(signature[key])) for word, key in _TENSORS if signature.get(key))
    yield "pushed", ", ".join(version.get("pushed", ())) or "-"
    yield "signatures", str(len(signatures)) if signatures else "-"


def _manifests(detail: Mapping[str, Any]) -> _Rows:
    made_of = detail["contents"]
    if made_of["modelpack"] != made_of["digest"]:
        yield "modelpack", made_of["modelpack"]
    yield from ((f"image {platform}", digest) for platform, digest in made_of["images"].items())


def _lineage(lineage: Mapping[str, Any]) -> _Rows:
    yield from ((key, _short(one)) for key, one in sorted(lineage.items()) if one and key not in _TOLD_ELSEWHERE)
    yield from ((f"  {key}", str(value)) for key, value in sorted(lineage.get("components", {}).items()))


def _tensors(tensors: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['name']} {one['datatype']} {one['shape']}" for one in tensors)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={one}" for key, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
