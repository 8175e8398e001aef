"""Parts of a blob."""

from __future__ import annotations

import pytest

from shipway.oci.registry.ranges import Gap, Take, header, take, within


@pytest.mark.parametrize(
    "gap, status, said, length, judged",
    [
        (None, 200, "", 100, Take.BODY),
        (None, 200, "", None, Take.BODY),  # chunked: counted while it comes
        (None, 200, "", 99, Take.WRONG),
        ((10, 20), 206, "bytes 10-19/100", 10, Take.BODY),
        ((10, 20), 206, "bytes 10-14/*", 5, Take.BODY),  # shorter: the rest is asked for again
        ((10, 20), 206, "bytes 0-9/100", 10, Take.WRONG),
        ((10, 20), 206, "bytes 10-19/200", 10, Take.WRONG),
        ((10, 20), 206, "", 10, Take.WRONG),
        ((10, 20), 200, "", 100, Take.NO_RANGES),
        ((10, 20), 416, "bytes */100", 0, Take.NO_RANGES),
        ((10, 20), 416, "", 0, Take.NO_RANGES),
        ((10, 20), 416, "bytes */5", 0, Take.WRONG),
    ],
)
def test_an_answer_is_judged(gap: Gap | None, status: int, said: str, length: int | None, judged: Take) -> None:
    assert take(gap, 100, status, said, length) is judged


def test_a_range_is_inclusive_on_the_wire() -> None:
    assert header((0, 10)) == "bytes=0-9"


def test_gaps_are_cut() -> None:
    assert within((10, 20), [(0, 12), (15, 16), (18, 30), (40, 50)]) == ((10, 12), (15, 16), (18, 20))
