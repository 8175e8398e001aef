"""``shipway models export``: a version's files, or the version as other tools read it, outside of the home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from shipway.cli.models.reference import VERSION
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import destination, version_of
from shipway.transfer import size

_FORMS = {"files": "files", "layout": "an OCI layout", "archive": "an OCI archive"}


@click.command()
@click.argument("version", metavar="NAME[:N|ALIAS]", type=VERSION)
@click.argument("to", metavar="FOLDER|FILE.tar|oci:FOLDER")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@act_output
def export(version: str, to: str, force: bool, output: str) -> None:
    """Write a version's files into a new folder; or the version as it is into an OCI layout or archive.

    FILE.tar and oci:FOLDER are what skopeo calls oci-archive:FILE.tar and oci:FOLDER.
    """
    written = run(version_of(version, "export"), {**destination(to), "force": force}, output)
    emit(written, output, _told(written))


def _told(written: Mapping[str, Any]) -> str:
    version = f"{written['name']}:{written['version']}"
    return f"{version} is in {written['path']}: {_FORMS[written['form']]}, {size(written['bytes'])}"
