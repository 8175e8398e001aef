"""Long work of the hub on the screen: bars on a terminal, elsewhere a line for each part at its end, none for JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from shipway.cli.starting import ensured
from shipway.deploy.operation import operate
from shipway.transfer import Progress, silent, size


def run(path: str, document: Mapping[str, Any], output: str) -> Mapping[str, Any]:
    """Ask the hub for it, show how it goes on stderr, and give its result."""
    with _shown(output) as report:
        return operate(ensured(), path, document, report)


@contextmanager
def _shown(output: str) -> Iterator[Callable[[Progress], None]]:
    if output != "text":
        yield silent
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _line


def _bars() -> Bars:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Bars(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)


class _Bars:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.what not in self._tasks:
            self._tasks[progress.what] = self._bars.add_task(progress.what, total=None)
        said = f"{progress.what} ({progress.note})" if progress.note else progress.what
        self._bars.update(self._tasks[progress.what], description=said, completed=progress.done, total=progress.total)


def _line(progress: Progress) -> None:
    if progress.over:
        click.echo(f"{progress.what}: {progress.note or size(progress.done)}", err=True)
