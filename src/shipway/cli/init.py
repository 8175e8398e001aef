"""``shipway init``: a shipway.yaml for a folder, or a pipeline for its CI, without a question."""

from __future__ import annotations

from pathlib import Path

import click

from shipway import pipelines
from shipway.detect import write
from shipway.project import FILE


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--ci", type=click.Choice(list(pipelines.FILES)), help="Write a pipeline of this system, and nothing else."
)
def init(folder: Path, ci: str | None) -> None:
    """Look at FOLDER and write a shipway.yaml that works.

    Recognised are train.py, app.py, predictor.py and model files. A file that exists is not touched. With --ci it is
    .github/workflows/shipway.yml, .gitlab-ci.yml or a Jenkinsfile that builds, pushes, and writes what is deployed.
    """
    where = "" if folder == Path() else f" {folder}"
    if ci is not None:
        file = pipelines.write(folder, ci)
        missing = "" if (folder / FILE).exists() else f"; it needs a {FILE}: shipway init{where}"
        click.echo(f"written to {file}{missing}", err=True)
        return
    file = write(folder)
    click.echo(file.read_text(encoding="utf-8"), nl=False)
    click.echo(f"\nwritten to {file}; next: shipway up{where}", err=True)
