"""The short form of ``python -m tests.runtime.engine.fuzz``."""

from __future__ import annotations

import asyncio

import pytest

from tests.runtime.engine.fuzz import fuzz, threads


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "max_delay"), [(1, 0.0), (2, 0.002)])
def test_no_answer_is_wrong_or_swapped(seed: int, max_delay: float, capsys: pytest.CaptureFixture[str]) -> None:
    counts = asyncio.run(fuzz(threads(), 2560, seed, max_delay))
    capsys.readouterr()  # the tracebacks of a model that fails by intention
    assert sum(counts.values()) == 2560
    assert not [outcome for outcome in counts if outcome.startswith("wrong")], counts
    assert counts["answered"] > 2000
    assert counts["bad input"] > 0
    assert counts["failed"] > 0
