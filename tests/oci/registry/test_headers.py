"""Link, Range, Content-Range, Retry-After, Warning: whatever a server sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.oci.registry import headers

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://reg.example/v2/a/tags/list?n=2"


@pytest.mark.parametrize(
    "link, following",
    [
        ("", None),
        ('</v2/a/tags/list?last=b&n=2>; rel="next"', "https://reg.example/v2/a/tags/list?last=b&n=2"),
        ("<?last=b>;rel=next", "https://reg.example/v2/a/tags/list?last=b"),
        ('</x>; rel="prev", </y>; REL="next"', "https://reg.example/y"),
        ('<https://elsewhere.example/v2/a>; rel="next"', None),
        ('<http://reg.example/v2/a>; rel="next"', None),
        ('<http://[bad>; rel="next"', None),
        ("nonsense", None),
    ],
)
def test_the_next_page_is_of_the_same_server(link: str, following: str | None) -> None:
    assert headers.next_page(link, URL) == following


@pytest.mark.parametrize(
    "value, there",
    [
        ("0-0", 0),
        ("0-9", 10),
        ("bytes=0-9", 10),
        ("1-9", None),
        ("9", None),
        ("", None),
        ("0--1", None),
        ("0-" + "9" * 30, None),
    ],
)
def test_what_an_upload_has(value: str, there: int | None) -> None:
    assert headers.received(value) == there


@pytest.mark.parametrize(
    "value, found",
    [
        ("bytes 0-9/10", (0, 10, 10)),
        ("bytes 5-9/*", (5, 10, None)),
        ("bytes */10", None),
        ("bytes 9-5/10", None),
        ("", None),
    ],
)
def test_which_part_an_answer_brings(value: str, found: tuple[int, int, int | None] | None) -> None:
    assert headers.content_range(value) == found


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("3", 3.0),
        ("0", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("Sun, 22 Nov 2026 12:00:30", 30.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("٣", None),
    ],
)
def test_when_to_come_back(value: str, seconds: float | None) -> None:
    assert headers.retry_after(value, NOW) == seconds


def test_warnings_are_for_people() -> None:
    sent = [
        '299 - "the tag \\"1\\" is old\x1b[31m"',
        '299 - "a", 299 - "b"',
        '199 - "no"',
        "299 - " + '"' + "x" * 9000 + '"',
    ]
    assert headers.warnings(sent) == ('the tag "1" is old [31m', "a", "b")
    assert headers.printable("a\nb\tc" + "d" * 999, 20) == "a b c" + "d" * 12 + "..."


@settings(max_examples=50, deadline=None)
@given(
    st.text(max_size=120)
    | st.from_regex(r'<[^<>]{0,40}>; ?rel="?next"?|bytes[ =][0-9*]+-[0-9]*/[0-9*]+', fullmatch=True)
)
def test_no_header_makes_it_stumble(value: str) -> None:
    headers.next_page(value, URL)
    headers.received(value)
    headers.content_range(value)
    headers.retry_after(value, NOW)
    headers.warnings([value])
    headers.count(value)
    assert headers.printable(value).isprintable()
