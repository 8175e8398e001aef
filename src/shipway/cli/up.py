"""``shipway up``: from a folder to something that answers, and every step of the way shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from shipway.cli.failure import INTERRUPTED, Reported, tell
from shipway.cli.live import OnTerminal
from shipway.cli.options import act_output
from shipway.cli.output import dumped
from shipway.cli.plain import Plain
from shipway.cli.starting import ensured
from shipway.cli.summary import Requests, as_json, as_text
from shipway.deploy.applied import Applied, followed
from shipway.deploy.apply import bring
from shipway.deploy.follow import follow
from shipway.deploy.progress import Point, Progress, Show
from shipway.deploy.requests import curl
from shipway.deploy.result import Result, failure_text
from shipway.deploy.world import World
from shipway.project import Project, read

SAMPLE = "sample.json"


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--retrain", is_flag=True, help="Run the jobs even when an equal run is known.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop waiting after this long.")
@act_output
def up(folder: Path, retrain: bool, timeout: float | None, output: str) -> None:
    """Train, version, deploy what FOLDER declares; wait until it answers.

    FOLDER is a folder with a shipway.yaml, or such a file. Nothing that is unchanged is done again.
    """
    deploy(read(folder), retrain=retrain, timeout=timeout, output=output)


def deploy(project: Project, *, retrain: bool, timeout: float | None, output: str) -> None:
    """Bring a project up, show the steps, print the result. Raises Reported when something failed."""
    hub = ensured()
    with _on_interrupt():
        applied, world = bring(hub, project, retrain=retrain, revive=ensured)
        changed = {one.key for one in applied if one.result != "unchanged"}
        with _display(output) as show:
            state = follow(hub, world, followed(applied), changed, show, timeout, ensured)
    wanted = tuple(one.key for one in applied)
    result = Result(state, world.objects, wanted, not changed)
    _print(result, _requests(world, applied, project), output)


@contextmanager
def _display(output: str) -> Iterator[Show]:
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
def _on_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        text = "interrupted; the work goes on. See it with: shipway status, shipway logs -f NAME, or shipway up again"
        click.echo(text, err=True)
        raise Reported(INTERRUPTED) from None


def _requests(world: World, applied: list[Applied], project: Project) -> Requests:
    """A curl line for every service that answers."""
    sample = project.folder / SAMPLE
    services = [world.objects.get(one.key, {}) for one in applied if one.key[0] == "ModelService"]
    up_now = [one for one in services if one.get("status", {}).get("readyReplicas")]
    return {one["metadata"]["name"]: curl(one, sample) for one in up_now}


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
