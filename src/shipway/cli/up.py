"""``shipway up``: from a folder to something that answers, and every step of the way shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from shipway.cli.deploy import Applied, bring, followed
from shipway.cli.failure import INTERRUPTED, Reported, tell
from shipway.cli.follow import Display, Silent, follow
from shipway.cli.hubs import World
from shipway.cli.infer import curl
from shipway.cli.live import OnTerminal
from shipway.cli.options import act_output
from shipway.cli.output import dumped
from shipway.cli.plain import Plain
from shipway.cli.starting import ensured
from shipway.cli.summary import Result, as_json, as_text, failure_text
from shipway.client import HubClient
from shipway.errors import HubUnreachable
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
    project = read(folder)
    hub = ensured()
    with _on_interrupt():
        applied, world = _brought(hub, project, retrain)
        changed = {one.key for one in applied if one.result != "unchanged"}
        with _display(output) as display:
            state = follow(hub, world, followed(applied), changed, display, timeout, ensured)
    wanted = tuple(one.key for one in applied)
    result = Result(state, world.objects, wanted, not changed, _requests(world, applied, project))
    _print(result, output)


def _brought(hub: HubClient, project: Project, retrain: bool) -> tuple[list[Applied], World]:
    """Apply, and read what the hub has. One that dies meanwhile is started again: applying twice is applying once."""
    token = datetime.now(UTC).isoformat()
    try:
        return bring(hub, project, retrain=retrain, token=token), World(hub)
    except HubUnreachable:
        ensured()
        again = bring(hub, project, retrain=retrain, token=token)
        # The first answer is lost: whatever it changed counts as changed.
        return [replace(one, result="configured") for one in again], World(hub)


@contextmanager
def _display(output: str) -> Iterator[Display]:
    if output == "json":
        yield Silent()
    elif sys.stdout.isatty():
        with OnTerminal() as terminal:
            yield terminal
    else:
        yield Plain()


@contextmanager
def _on_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        text = "interrupted; the work goes on. See it with: shipway status, shipway logs -f NAME, or shipway up again"
        click.echo(text, err=True)
        raise Reported(INTERRUPTED) from None


def _requests(world: World, applied: list[Applied], project: Project) -> Mapping[str, str]:
    """A curl line for every service that answers."""
    sample = project.folder / SAMPLE
    services = [world.objects.get(one.key, {}) for one in applied if one.key[0] == "ModelService"]
    up_now = [one for one in services if one.get("status", {}).get("readyReplicas")]
    return {one["metadata"]["name"]: curl(one, sample) for one in up_now}


def _print(result: Result, output: str) -> None:
    failures = result.state.failures
    if output == "json":
        click.echo(dumped(as_json(result), output))
    else:
        click.echo(as_text(result))
    for failure in failures:
        tell(failure_text(failure))
    if failures:
        raise Reported(1)
