"""Deadlines, who lingers, and what is unpacked."""

from __future__ import annotations

import asyncio
import gzip
import math
import zlib

import pytest

from shipway.runtime.errors import BadInput
from shipway.runtime.server.http.body import gunzip, inflate
from shipway.runtime.server.http.deadlines import allowance
from shipway.runtime.server.http.replies import refused
from shipway.runtime.server.lingering import Lingering
from shipway.runtime.server.refusals import NotServing, Reason, Refused
from shipway.runtime.server.rpc.failure import failure_of


@pytest.mark.parametrize(
    "asked, envoys, default, seconds",
    [
        (None, None, 0.0, math.inf),
        (None, None, 2.5, 2.5),
        ("3", None, 2.5, 3.0),
        ("0.5", None, 0.0, 0.5),
        ("250ms", None, 0.0, 0.25),
        (" 2s ", None, 0.0, 2.0),
        ("1m", None, 0.0, 60.0),
        (None, "1500", 0.0, 1.5),
        (None, "0", 0.0, math.inf),
        ("1", "1500", 0.0, 1.0),
        ("2", "1500", 0.0, 1.5),
    ],
)
def test_how_long_a_request_may_take(asked: str | None, envoys: str | None, default: float, seconds: float) -> None:
    assert allowance(asked, envoys, default) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "x", "-1", "1e9", "nan", "inf", "0", "1h", "1 s", "9" * 30, "\u0661", "1_0"])
def test_times_that_make_no_sense(text: str) -> None:
    with pytest.raises(BadInput, match="x-request-timeout is"):
        allowance(text, None, 0.0)


def test_who_stays_is_acted_upon_and_who_goes_is_not() -> None:
    async def steps() -> None:
        stayed: dict[str, int] = {}
        lingering = Lingering[str, int](0.01, stayed.__setitem__)
        for number, name in enumerate(("a", "b", "c")):
            lingering.enter(name, number)
        lingering.leave("b")
        while "a" not in stayed:
            await asyncio.sleep(0.005)
        assert stayed == {"a": 0, "c": 2}
        lingering.leave("a")
        lingering.enter("d", 3)
        lingering.leave("d")
        await asyncio.sleep(0.05)
        assert stayed == {"a": 0, "c": 2}
        assert lingering._timer is None, "it watches although nobody is here"

    asyncio.run(steps())


def test_no_more_is_unpacked_than_may_be() -> None:

    bomb = bytes(1_000_000)
    assert len(gunzip(gzip.compress(bomb), 1000)) == 1000
    assert len(gunzip(gzip.compress(bytes(600)) * 2, 1000)) == 1000
    assert len(inflate(zlib.compress(bomb), 1000)) == 1000


def test_what_takes_no_requests_now_says_so_to_the_gateway_in_both_protocols() -> None:
    mark = ("x-shipway-not-serving", "1")
    loading, overloaded = NotServing("the model is being loaded"), Refused(Reason.OVERLOADED, "too much", 1.0)
    assert refused(loading).status == 503
    assert mark in refused(loading).headers
    assert mark in failure_of(loading).trailers
    assert mark not in refused(overloaded).headers
    assert mark not in failure_of(overloaded).trailers
