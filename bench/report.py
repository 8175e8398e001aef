"""What was measured, against the bars that were set, as JSON and as a page to read."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from bench.machine import Machine


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one thing, in ``unit``; ``bar`` is the most that its median may be, None when none was set."""

    name: str
    unit: str
    samples: tuple[float, ...]
    bar: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "met" if self.median <= self.bar else "MISSED"


def to_markdown(figures: Sequence[Figure], machine: Machine, day: date) -> str:
    """A table of the figures and the machine that they belong to."""
    rows = [
        f"| {one.name} | {_number(one.median)} {one.unit} "
        f"| {'' if one.bar is None else f'{_number(one.bar)} {one.unit}'} | {one.verdict} "
        f"| {_number(min(one.samples))} to {_number(max(one.samples))} | {len(one.samples)} |"
        for one in figures
    ]
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return "\n".join(
        [
            f"# make bench, {day.isoformat()}",
            "",
            f"{machine.cpu}, {machine.cores} cores, {machine.memory / 1e9:.0f} GB; {machine.system}; {machine.python}.",
            f"Load average at the start: {machine.load:.1f}. {packages}.",
            "",
            "| what | median | bar | | range | samples |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def write(figures: Sequence[Figure], machine: Machine, day: date, folder: Path) -> Path:
    """Write ``DATE-MACHINE.json`` and ``.md``; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{day.isoformat()}-{machine.slug}.md"
    page.write_text(to_markdown(figures, machine, day))
    document = {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "figures": [{**asdict(one), "median": one.median} for one in figures],
    }
    page.with_suffix(".json").write_text(json.dumps(document, indent=2) + "\n")
    return page


def _number(value: float) -> str:
    """Three digits that matter, never in scientific notation."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
