"""The synchronous twins are what scripts/twins.py writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.twins import sources, twin, twin_of


@pytest.mark.slow
@pytest.mark.parametrize("source", sources(), ids=lambda one: f"{one.parent.name}/{one.stem}")
def test_a_twin_is_up_to_date(source: Path) -> None:
    assert twin_of(source).read_text() == twin(source), "run `make twins`"


def test_there_are_twins() -> None:
    assert {one.name for one in sources()} >= {"client_async.py", "follow_async.py"}


def test_nothing_asynchronous_is_left() -> None:
    for source in sources():
        text = twin_of(source).read_text()
        assert [word for word in ("await ", "async ", "Async", "asyncio") if word in text] == [], source
