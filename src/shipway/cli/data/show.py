"""``shipway data show``: a version with its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from shipway.cli.data.ls import labels
from shipway.cli.hubs import connect
from shipway.cli.options import read_output
from shipway.cli.output import aligned, emit
from shipway.deploy.data import version_of
from shipway.transfer import size

_SHOWN = 50  # files; -o wide shows all


@click.command()
@click.argument("version", metavar="NAME[:N]")
@read_output
def show(version: str, output: str) -> None:
    """Show a version (by default the latest): digest, labels, where it is from, and its files.

    Of many files the first 50; -o wide shows all.
    """
    hub, place = connect(), version_of(version)
    found, files = hub.get(place)["version"], hub.get(f"{place}/files")["files"]
    shown = files if output == "wide" else files[:_SHOWN]
    emit({**found, "contents": files}, output, f"{_said(found)}\n\n{_files(shown, len(files))}")


def _said(version: Mapping[str, Any]) -> str:
    remote = version["remote"] or {}
    rows = [
        ("version", f"{version['name']}:{version['number']}"),
        ("digest", version["digest"]),
        ("content", version["content"]),
        ("size", f"{size(version['size'])} in {version['files']} {'file' if version['files'] == 1 else 'files'}"),
        ("from", version["source"] or "-"),
        ("kept", "here" if not remote else f"no: pinned where it is, {remote['uri']}"),
        ("endpoint", remote.get("endpoint", "")),
        ("secret", remote.get("secret", "")),
        ("labels", labels(version)),
        ("created", version["createdAt"] or ""),
        ("pushed", ", ".join(version["pushed"])),
    ]
    return aligned([row for row in rows if row[1]])


def _files(files: Sequence[Mapping[str, Any]], total: int) -> str:
    rows = [(one["name"], size(one["size"]), one["digest"].removeprefix("sha256:")[:12]) for one in files]
    more = f"\n... and {total - len(files)} more: -o wide" if total > len(files) else ""
    return aligned([("FILE", "SIZE", "SHA256"), *rows]) + more
