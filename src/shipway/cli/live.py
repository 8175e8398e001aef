"""Progress on a terminal: a line for every step, with what runs now, how long, and the latest metrics."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from shipway.cli.plain import seconds
from shipway.deploy.progress import Point, Progress, State, Step

_MARKS: dict[State, tuple[str, str]] = {
    "waiting": ("·", "dim"),
    "retrying": ("↻", "yellow"),
    "done": ("✓", "green"),
    "cached": ("✓", "cyan"),
    "failed": ("✗", "bold red"),
    "kept": ("-", "yellow"),
}


class OnTerminal:
    """Draws its lines, and redraws them. A context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console or Console(highlight=False), refresh_per_second=12)
        self._spinners: dict[tuple[tuple[str, str], str], Spinner] = {}
        self._metrics: dict[str, dict[str, Point]] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, state: Progress, points: list[Point]) -> None:
        """Redraw."""
        for point in points:
            self._metrics.setdefault(point.job, {})[point.name] = point
        self._live.update(self._drawn(state), refresh=state.settled)

    def _drawn(self, state: Progress) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        for step in state.steps:
            grid.add_row(self._mark(step), step.text, Text(seconds(step.elapsed), style="dim"), self._detail(step))
        return Group(grid)

    def _mark(self, step: Step) -> RenderableType:
        if step.state != "running":
            mark, style = _MARKS[step.state]
            return Text(mark, style=style)
        return self._spinners.setdefault((step.subject, step.text), Spinner("dots", style="cyan"))

    def _detail(self, step: Step) -> Text:
        latest = self._metrics.get(step.subject[1], {}) if step.state == "running" else {}
        if step.detail or not latest or step.subject[0] != "ModelJob":
            return Text(step.detail, style="red" if step.state == "failed" else "dim")
        last = next(reversed(latest.values()))
        at = "" if last.step is None else f"step {last.step}: "
        return Text(at + ", ".join(f"{one.name} {one.value:.4g}" for one in latest.values()), style="cyan")
