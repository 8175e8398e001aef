"""``shipway models diff``: what differs between two versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from shipway.cli.hubs import connect
from shipway.cli.models.reference import VERSION
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.deploy.catalog import asked, split, version_path
from shipway.transfer import size

_BETTER = {True: "better", False: "worse", None: ""}
_LONGEST = 60  # characters of a value

_Row = tuple[str, ...]


@click.command()
@click.argument("before", metavar="NAME:A", type=VERSION)
@click.argument("after", metavar="[NAME:]B", type=VERSION)
@click.option("--patch", is_flag=True, help="Also what changed in the text of changed code files.")
@read_output
def diff(before: str, after: str, patch: bool, output: str) -> None:
    """Show what differs from one version to another: metrics, params, data, code, packages, files.

    A and B are numbers or aliases.
    """
    name, ref = split(before)
    found = connect().get(asked(f"{version_path(name, ref)}/diff", {"to": after, "patch": patch}))
    emit(found, output, "\n\n".join(_sections(found)))


def _sections(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"{found['before']} -> {found['after']}" + (": the same files" if found["sameFiles"] else "")
    parts: Sequence[tuple[str, list[_Row]]] = (
        ("metrics", [_metric(one) for one in found["metrics"]]),
        ("params", _values(found["params"])),
        ("data", [_content(one) for one in found["inputs"]]),
        ("code", [_content(found["code"])] if found["code"] else []),
        ("requirements", _values(found["requirements"])),
        ("packages", _values(found["packages"])),
        ("made with", _values(found["conditions"])),
        ("signature", _values(found["signature"])),
        ("files", [_file(one) for one in found["files"]]),
        ("all", _all(found)),
    )
    for title, rows in parts:
        if rows:
            yield title + "\n" + aligned([(f"  {row[0]}", *row[1:]) for row in rows])
    if found["code"] and found["code"]["patch"]:
        yield found["code"]["patch"].rstrip("\n")


def _metric(one: Mapping[str, Any]) -> _Row:
    change = "" if one["change"] is None else f"{one['change']:+.4g}"
    return one["name"], _number(one["before"]), _number(one["after"]), change, _BETTER[one["better"]]


def _values(changes: Sequence[Mapping[str, Any]]) -> list[_Row]:
    return [(one["name"], _short(one["before"]), "->", _short(one["after"])) for one in changes]


def _file(one: Mapping[str, Any]) -> _Row:
    before, after = one["before"], one["after"]
    if before is None or after is None:
        return one["name"], "-" if before is None else size(before), "->", "-" if after is None else size(after), ""
    more = "" if before == after else f"{'+' if after > before else '-'}{size(abs(after - before))}"
    return one["name"], size(before), "->", size(after), more


def _content(one: Mapping[str, Any]) -> _Row:
    if not one["known"]:
        return one["name"], "changed; not both are kept here any more"
    words = (("changed", "changed"), ("added", "new"), ("removed", "gone"))
    told = [f"{word}: {', '.join(one[key])}" for key, word in words if one[key]]
    return one["name"], "; ".join(told) or "only modes of files differ"


def _all(found: Mapping[str, Any]) -> list[_Row]:
    rows = _values([found["format"]] if found["format"] else [])
    return [*rows, *([_file(found["size"])[:4]] if found["size"] else [])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _short(value: Any) -> str:
    text = "-" if value is None else str(value).replace("\n", " ") or "any"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
