"""The findings as a page, as JSON, and as a block for the README."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from bench.machine import Machine
from bench.serving.verdicts import Findings, Table, Verdict


def to_markdown(
    findings: Sequence[Findings], machine: Machine, day: date, versions: Mapping[str, Mapping[str, str]], how: str
) -> str:
    """The whole page: bars, tables, versions of every environment."""
    parts = [
        f"# make bench-serving, {day.isoformat()}",
        described(machine),
        f"Load average at the start: {machine.load:.1f}. {how}",
        bars([one for found in findings for one in found.verdicts]),
    ]
    parts += [table_of(one, "##") for found in findings for one in found.tables]
    lines = [f"- {name}: {', '.join(f'{package} {version}' for package, version in found.items())}"
             for name, found in versions.items()]  # fmt: skip
    return "\n\n".join([*parts, "## Versions", "\n".join(lines)]) + "\n"


def for_readme(findings: Sequence[Findings], machine: Machine, day: date) -> str:
    """The tables of throughput and the bars, to be quoted."""
    quoted = [found.tables[0] for found in findings if found.tables]
    verdicts = [one for found in findings for one in found.verdicts]
    head = f"Measured on {day.isoformat()} on {described(machine)} Server and load share the cores; one worker each."
    return "\n\n".join([head, *(table_of(one, "**") for one in quoted), bars(verdicts)])


def described(machine: Machine) -> str:
    """One line."""
    memory = f"{machine.memory / 1e9:.0f} GB"
    return f"{machine.cpu}, {machine.cores} cores, {memory}; {machine.system}; {machine.python}."


def bars(verdicts: Sequence[Verdict]) -> str:
    """Every bar with what was measured."""
    rows = [
        (one.what, f"{number(one.value)} {one.unit}".strip(), f"{one.sense} {number(one.bar)} {one.unit}".strip(),
         "met" if one.met else "MISSED")
        for one in verdicts
    ]  # fmt: skip
    return _grid(("what", "measured", "bar", ""), rows)


def table_of(table: Table, mark: str) -> str:
    """A heading (``##``) or a title in bold (``**``), the rows, the note."""
    title = f"**{table.title}**" if mark == "**" else f"{mark} {table.title}"
    return "\n\n".join(part for part in (title, _grid(table.columns, table.rows), table.note) if part)


def write(
    page: str, findings: Sequence[Findings], machine: Machine, day: date, versions: Mapping[str, object], folder: Path
) -> Path:
    """Write ``DATE-serving-MACHINE.md`` and ``.json``; the path of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{day.isoformat()}-serving-{machine.slug}.md"
    path.write_text(page)
    document = {
        "date": day.isoformat(),
        "machine": asdict(machine),
        "versions": versions,
        "verdicts": [{**asdict(one), "met": one.met} for found in findings for one in found.verdicts],
        "raw": {name: value for found in findings for name, value in found.raw.items()},
    }
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    return path


def number(value: float) -> str:
    """Three digits that matter, never in scientific notation."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.6f}"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(one)} |" for one in lines)
