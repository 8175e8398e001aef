"""``shipway init``: a shipway.yaml for a folder, without a question."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.detect import write


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Look at FOLDER and write a shipway.yaml that works.

    Recognised are train.py, app.py, predictor.py and model files. A shipway.yaml that exists is not touched.
    """
    file = write(folder)
    click.echo(file.read_text(encoding="utf-8"), nl=False)
    where = "" if folder == Path() else f" {folder}"
    click.echo(f"\nwritten to {file}; next: shipway up{where}", err=True)
