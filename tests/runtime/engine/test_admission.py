"""Who is told to come back later, and when."""

from __future__ import annotations

import math
from typing import Any

import pytest

from shipway.runtime.server.engine.admission import refusal
from shipway.runtime.server.refusals import Reason

KNOWN: dict[str, Any] = {"waiting": 5, "size": 0, "wait": 2.0, "more": 10, "cost": 1.0, "left": math.inf, "queue": 10.0}


@pytest.mark.parametrize(
    ("changed", "retry_after", "words"),
    [
        ({}, None, ""),
        ({"wait": 10.0}, None, ""),
        ({"wait": 12.5}, 2.5, r"it would wait 12.5 s, and may wait 10 s \(queue in the service's server block\)"),
        ({"queue": 0.0}, 2.0, "may wait 0 s"),
        ({"left": 3.0}, None, ""),
        ({"left": 2.5}, 0.5, r"answered in 3 s, and its deadline is in 2.5 s"),
        ({"wait": None, "waiting": 1023}, None, ""),
        ({"wait": None, "waiting": 1024}, 1.0, "1024 requests wait already"),
        ({"size": 256 * 2**20}, 2.0, "256 MiB of requests wait already"),
        ({"size": 256 * 2**20, "wait": None}, 1.0, "256 MiB of requests wait already"),
        ({"waiting": 0, "more": 2**40}, None, ""),
    ],
)
def test_refusal(changed: dict[str, Any], retry_after: float | None, words: str) -> None:
    arguments = KNOWN | changed
    refused = refusal(arguments.pop("waiting"), arguments.pop("size"), arguments.pop("wait"), **arguments)
    if retry_after is None:
        assert refused is None
        return
    assert refused is not None
    assert refused.reason is Reason.OVERLOADED
    assert refused.retry_after == pytest.approx(retry_after)
    assert words.replace("\\", "") in refused.message
