"""docs/observe.md names every metric that the model server has, with its type, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from shipway.runtime.server.observe import access_log, metrics, process
from shipway.runtime.server.observe.exposition import Family
from shipway.runtime.server.observe.predictions import log
from shipway.runtime.server.observe.predictions.columns import HEADS

PAGE = (Path(__file__).parents[2] / "docs" / "observe.md").read_text()


def test_the_page_shows_the_metrics_as_they_are() -> None:
    families = [one for room in (access_log, metrics, process, log) for one in vars(room).values()]
    expected = {one.name: one.kind for one in families if isinstance(one, Family)}
    assert dict(re.findall(r"^\| `((?:shipway|process)_\w+)` \| (\w+) \|", PAGE, re.MULTILINE)) == expected


def test_the_page_shows_the_columns_of_the_prediction_log() -> None:
    table = PAGE.partition("**Columns**")[2]
    assert all(f"`{name}`" in table for name in HEADS)
