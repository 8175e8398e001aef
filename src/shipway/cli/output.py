"""Values to text on stdout: aligned tables, JSON, YAML. Plain characters, no cursor movement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click


def dumped(value: Any, output: str) -> str:
    """``value`` as one JSON or YAML document."""
    if output == "yaml":
        import yaml  # 30 ms that only -o yaml pays

        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()
    return json.dumps(value, indent=2, ensure_ascii=False)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart; the first row is the header."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def emit(value: Any, output: str, table: str) -> None:
    """Print ``table``, or ``value`` where the user asked for data."""
    click.echo(dumped(value, output) if output in ("json", "yaml") else table)
