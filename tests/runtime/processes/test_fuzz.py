"""The short form of the fuzzer; ``make`` runs the long one."""

from __future__ import annotations

import asyncio

import pytest

from shipway.runtime.server.engine.processes import arena, executor
from tests.runtime.engine.fuzz import fuzz
from tests.runtime.processes.fuzz import processes


@pytest.mark.slow
def test_no_answer_is_wrong_while_workers_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "_SMALL", arena._SMALL)  # put back what the plan sets
    monkeypatch.setattr(executor, "_LONGEST", executor._LONGEST)
    counts = asyncio.run(fuzz(processes(seed=3, seconds=0.5), 3200, seed=3))
    assert not [outcome for outcome in counts if outcome.startswith("wrong")], counts
    assert counts["answered"] >= 2000
