"""The short form of ``python -m tests.runtime.http.fuzz``."""

from __future__ import annotations

import asyncio

import pytest

from tests.runtime.http.fuzz import fuzz


@pytest.mark.slow
def test_nobody_gets_anothers_answer(capsys: pytest.CaptureFixture[str]) -> None:
    counts = asyncio.run(fuzz(3200, 1))
    capsys.readouterr()  # the tracebacks of a model that fails by intention
    assert counts["left"] == 0
    assert not [outcome for outcome in counts if outcome.startswith("wrong")], counts
    assert counts["answered"] > 2500
    assert min(counts["bad input"], counts["failed"], counts["hung up"]) > 0
