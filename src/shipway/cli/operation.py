"""Long work of the hub, asked for and shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.cli.shown import shown
from shipway.cli.starting import ensured
from shipway.deploy.operation import operate


def run(path: str, document: Mapping[str, Any], output: str) -> Mapping[str, Any]:
    """Ask the hub for it, show how it goes on stderr, and give its result."""
    with shown(output) as report:
        return operate(ensured(), path, document, report)
