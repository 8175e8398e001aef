"""How far long work is, on the screen: bars on a terminal, elsewhere a line for each part at its end, none for JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from shipway.transfer import Progress, silent, size

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@contextmanager
def shown(output: str) -> Iterator[Callable[[Progress], None]]:
    """Who is to be told in this block how far the work is; nobody where JSON or YAML is asked for."""
    if output in ("json", "yaml"):
        yield silent
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _line


def _bars() -> Bars:
    from rich import progress  # a tenth of a second that only a terminal pays
    from rich.console import Console

    columns = (progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn())
    description = progress.TextColumn("{task.description}")
    return progress.Progress(
        description, *columns, progress.TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )


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
