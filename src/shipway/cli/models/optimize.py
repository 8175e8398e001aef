"""``shipway models optimize``: look for a faster form of a version."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from shipway.cli.hubs import connect
from shipway.cli.models.reference import VERSION
from shipway.cli.options import act_output
from shipway.cli.up import deploy
from shipway.deploy.catalog import split, version_path
from shipway.deploy.optimize import optimizing
from shipway.kinds import CHAMPION
from shipway.project import from_objects


@click.command()
@click.argument("reference", metavar="NAME[:N|ALIAS]", type=VERSION)
@click.option("--rtol", type=click.FloatRange(min=0), help="How far numbers may be apart, relative to their size.")
@click.option("--atol", type=click.FloatRange(min=0), help="How far numbers may be apart at all.")
@click.option("--share", type=click.FloatRange(0, 1), help="Which part of the rows may differ by more.")
@click.option("--quantize", type=click.Choice(["none", "int8"]), help="Make the weights 8-bit integers, too.")
@click.option("--allow-pickle", is_flag=True, help="Open a pickle that was not made here: it runs the code in it.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop waiting after this long.")
@act_output
def optimize(
    reference: str, allow_pickle: bool, timeout: float | None, output: str, **given: float | str | None
) -> None:
    """Make a faster form of a version, and a new version of it when it gives the same answers.

    A job exports it to ONNX, asks both for the rows that training saved (save_sample), and times both.
    """
    name, ref = split(reference, CHAMPION)
    detail = connect().get(version_path(name, ref))
    params = {key: value for key, value in given.items() if value is not None}
    with TemporaryDirectory(prefix="shipway-optimize-") as nothing:  # the job has no files of its own
        job = optimizing(name, detail, params, allow_pickle=allow_pickle)
        project = from_objects([job], Path(nothing))
        deploy(project, retrain=False, timeout=timeout, output=output)
