"""``shipway models import``: files of this machine become a version."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli.models.pull import told
from shipway.cli.operation import run
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.deploy.transfers import local, versions_of
from shipway.detect import object_name


@click.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.argument("name", required=False)
@click.option("--metric", "metrics", multiple=True, metavar="NAME=VALUE", help="How it was judged; may be repeated.")
@click.option("--description", default="", help="A line about this version.")
@click.option("--trust", is_flag=True, help="Trust its maker: take a pickle, and let services load it.")
@click.option("--zstd", "form", flag_value="tar+zstd", help="Compress the layers.")
@click.option("--raw", "form", flag_value="raw", help="Layers as the files are; no image volume can mount them.")
@act_output
def import_(
    path: Path,
    name: str | None,
    metrics: tuple[str, ...],
    description: str,
    trust: bool,
    form: str | None,
    output: str,
) -> None:
    """Make a version of a folder, an ONNX or safetensors file, an MLflow model or (with --trust) a pickle.

    The hub reads PATH itself. NAME is by default made of the file's. Nothing in it is run or unpickled. The version
    is champion then, and services of NAME roll to it. The same files are the version that they were.
    """
    whole = path.absolute()
    document = {
        "path": local(path),
        "form": form or "tar",
        "trust": trust,
        "description": description,
        "metrics": dict(map(_metric, metrics)),
    }
    made = run(versions_of(name or object_name(whole.stem if path.is_file() else whole.name)), document, output)
    emit(made, output, told(made, trust=trust))
    if made["there"] and (metrics or description):
        click.echo("--metric and --description were not taken: what is said of a version never changes", err=True)


def _metric(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE with a number: accuracy=0.97") from None
