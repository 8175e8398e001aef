"""Which trace a header names."""

from __future__ import annotations

import pytest

from shipway.runtime.server.observe.traceparent import Trace, parse

ID, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "header, sampled",
    [
        (f"00-{ID}-{SPAN}-01", True),
        (f"00-{ID}-{SPAN}-00", False),
        (f"00-{ID}-{SPAN}-03", True),
        (f"00-{ID}-{SPAN}-02", False),
        (f" 00-{ID}-{SPAN}-01 ", True),
        (f"cc-{ID}-{SPAN}-01", True),
        (f"cc-{ID}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_valid(header: str, sampled: bool) -> None:
    assert parse(header) == Trace(ID, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{ID}-{SPAN}",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{ID}-{SPAN}-01-",
        f"ff-{ID}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{ID[1:]}-{SPAN}-01",
        f"00-{ID}-{SPAN}-0x",
        f"cc-{ID}-{SPAN}-01.later",
    ],
)
def test_not_valid(header: str | None) -> None:
    assert parse(header) is None
