"""``shipway up``: from a folder to something that answers, and every step of the way shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from shipway.cli.failure import INTERRUPTED, Reported, tell
from shipway.cli.live import OnTerminal
from shipway.cli.options import act_output
from shipway.cli.output import dumped
from shipway.cli.plain import Plain
from shipway.cli.shown import shown
from shipway.cli.starting import ensured
from shipway.cli.summary import Requests, as_json, as_text
from shipway.client import HubClient
from shipway.deploy.applied import Applied, followed
from shipway.deploy.apply import bring
from shipway.deploy.follow import follow
from shipway.deploy.images import needs_images, with_images
from shipway.deploy.progress import Point, Progress, Show
from shipway.deploy.requests import example
from shipway.deploy.result import Result, failure_text
from shipway.deploy.world import World
from shipway.project import Project, read
from shipway.transfer import THERE, Report

SAMPLE = "sample.json"


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--cluster", default="", metavar="NAME", help="Run there what names no cluster itself.")
@click.option("--locked", is_flag=True, help="Fail when the lock of an image for a cluster would change.")
@click.option("--retrain", is_flag=True, help="Run the jobs even when an equal run is known.")
@click.option("--force-conflicts", is_flag=True, help="Take fields that others have set in a cluster from them.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop waiting after this long.")
@act_output
def up(
    folder: Path, cluster: str, locked: bool, retrain: bool, force_conflicts: bool, timeout: float | None, output: str
) -> None:
    """Train, version, deploy what FOLDER declares; wait until it answers.

    FOLDER is a folder with a shipway.yaml, or such a file. Nothing that is unchanged is done again. For a cluster,
    images are built and pushed first.
    """
    project = read(folder)
    project = project.on(cluster) if cluster else project
    project = project.forcing_conflicts(datetime.now(UTC).isoformat()) if force_conflicts else project
    deploy(project, retrain=retrain, timeout=timeout, output=output, locked=locked)


def deploy(project: Project, *, retrain: bool, timeout: float | None, output: str, locked: bool = False) -> None:
    """Bring a project up, show the steps, print the result. Raises Reported when something failed."""
    hub = ensured()
    if needs_images(project):
        project = _with_images(hub, project, output, locked=locked)
    with interruptible():
        applied, world = bring(hub, project, retrain=retrain, revive=ensured)
        changed = {one.key for one in applied if one.result != "unchanged"}
        with display(output) as show:
            state = follow(hub, world, followed(applied), changed, show, timeout, ensured)
    wanted = tuple(one.key for one in applied)
    result = Result(state, world.objects, wanted, not changed)
    _print(result, _requests(world, applied, project), output)


def _with_images(hub: HubClient, project: Project, output: str, *, locked: bool) -> Project:
    with shown(output) as report:
        imaged = with_images(hub, project, report=news(report), mode="locked" if locked else "keep")
    if output != "json":
        click.echo("\n".join(f"image    {'/'.join(key)}  {image}" for key, image in imaged.built.items()))
    return imaged.project


def news(report: Report) -> Report:
    """Without what the registry had: of an image that did not change that is every blob, and ``up`` does nothing."""
    return lambda part: None if part.note == THERE else report(part)


@contextmanager
def display(output: str) -> Iterator[Show]:
    """Who is to be told in this block how far the work is."""
    if output == "json":
        yield _silent
    elif sys.stdout.isatty():
        with OnTerminal() as terminal:
            yield terminal.show
    else:
        yield Plain().show


def _silent(state: Progress, points: list[Point]) -> None:
    """Nothing but the result is printed."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C in this block ends the watching, and says so."""
    try:
        yield
    except KeyboardInterrupt:
        text = "interrupted; the work goes on. See it with: shipway status, shipway logs -f NAME, or shipway up again"
        click.echo(text, err=True)
        raise Reported(INTERRUPTED) from None


def _requests(world: World, applied: list[Applied], project: Project) -> Requests:
    """A line to try for every service that answers."""
    sample = project.folder / SAMPLE
    services = [world.objects.get(one.key, {}) for one in applied if one.key[0] == "ModelService"]
    up_now = [one for one in services if one.get("status", {}).get("readyReplicas")]
    return {one["metadata"]["name"]: example(one, sample) for one in up_now}


def _print(result: Result, requests: Requests, output: str) -> None:
    failures = result.state.failures
    if output == "json":
        click.echo(dumped(as_json(result, requests), output))
    else:
        click.echo(as_text(result, requests))
    for failure in failures:
        tell(failure_text(failure))
    if failures:
        raise Reported(1)
