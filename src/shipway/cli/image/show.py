"""``shipway image show``: one image, with what is in each of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from shipway.building.images.opened import opened
from shipway.building.images.shown import shown
from shipway.cli.image.named import IMAGE, place, plain_http
from shipway.cli.image.text import table
from shipway.cli.options import read_output
from shipway.cli.output import emit
from shipway.cli.shown import shown as progress
from shipway.transfer import size

_LONGEST = 60  # characters of a layer's command; -o wide cuts nothing
_NAMED = 6  # packages of a layer that are named
_TYPES = {
    "application/vnd.cyclonedx+json": "bill of materials",
    "application/vnd.in-toto+json": "build record",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "signature",
}
_LISTS = {"env": "env", "labels": "label"}  # a line for each
_WORDS = {
    "entrypoint": "runs",
    "command": "arguments",
    "user": "as user",
    "workdir": "in",
    "ports": "listens on",
    "volumes": "volumes",
    "stopSignal": "stops at",
}


@click.command()
@click.argument("image", type=IMAGE)
@plain_http
@read_output
def show(image: str, plain_http: bool, output: str) -> None:
    """Show what IMAGE runs, its layers with what is in each, and what lies beside it.

    Of an image in a registry only what describes it is fetched; its bill of materials says what is in the layers.
    """
    with progress(output) as report, opened(place(), image, report, plain_http=plain_http, whole=False) as found:
        told = shown(found)
    emit(told, output, _text(told, wide=output == "wide"))


def _text(told: Mapping[str, Any], *, wide: bool) -> str:
    parts = [table([*_head(told)])]
    for one in told["platforms"]:
        parts.append(table([*_facts(one)]))
        parts.append("layers\n" + table([("SIZE", "FILES", "MADE BY", "PACKAGES"), *_layers(one["layers"], wide)]))
    return "\n\n".join(parts)


def _head(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "image", told["name"]
    yield "digest", told["digest"]
    yield "size", size(told["size"])
    yield "signatures", str(told["signatures"] or "-")
    if len(told["platforms"]) > 1:
        yield from _beside(told["referrers"])


def _facts(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "platform", one["platform"]
    yield "manifest", one["digest"]
    if one["base"]:
        yield "base", f"{one['base']['name']} {one['base']['digest']}".lstrip()
    if one["system"]:
        yield "system", one["system"]
    config = one["config"]
    yield from ((word, _words(config[key])) for key, word in _WORDS.items() if key in config)
    for key, word in _LISTS.items():
        said = config.get(key, ())
        lines = [f"{name}={value}" for name, value in said.items()] if isinstance(said, Mapping) else map(str, said)
        yield from ((word, line) for line in lines)
    yield from _beside(one["referrers"])


def _beside(referrers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    yield from ((_TYPES.get(one["type"], one["type"]), one["digest"]) for one in referrers)


def _layers(layers: Sequence[Mapping[str, Any]], wide: bool) -> list[tuple[str, ...]]:
    return [
        (
            size(one["size"]),
            "-" if one["files"] is None else f"{one['files']:,}",
            _short(one["createdBy"], wide) or "-",
            _packages(one["packages"], wide),
        )
        for one in layers
    ]


def _packages(packages: Sequence[str], wide: bool) -> str:
    if wide or len(packages) <= _NAMED:
        return ", ".join(packages) or "-"
    return f"{', '.join(packages[:_NAMED])} and {len(packages) - _NAMED} more"


def _short(text: str, wide: bool) -> str:
    return text if wide or len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
