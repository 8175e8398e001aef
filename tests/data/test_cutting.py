"""Where data is cut: always at the same places, and elsewhere only near what changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shipway.data.cutting import LARGEST, SMALLEST, cut
from tests.data.material import noise

MB = 1 << 20
DATA = noise(12 * MB)


def lengths(data: bytes) -> list[int]:
    return [len(one) for one in cut([data])]


def test_the_places_are_those_of_fastcdc() -> None:
    # Another version of the library that cuts elsewhere would store every data set anew.
    assert lengths(DATA) == GOLDEN


GOLDEN = [1764061, 1547757, 1151190, 324221, 1368450, 1203695, 1222392, 2426662, 1090483, 484001]


def test_chunks_are_the_same_bytes_within_the_bounds() -> None:
    chunks = list(cut([DATA]))
    assert b"".join(chunks) == DATA
    assert all(SMALLEST <= len(one) <= LARGEST for one in chunks[:-1])


@pytest.mark.parametrize("block", [1000, 65_537, MB, 40 * MB])
def test_how_the_bytes_come_does_not_matter(block: int) -> None:
    blocks = (DATA[start : start + block] for start in range(0, len(DATA), block))
    assert [len(one) for one in cut(blocks)] == GOLDEN


def test_what_is_inserted_moves_only_the_cuts_beside_it() -> None:
    at = 5 * MB + 12_345
    before = set(cut([DATA]))
    new = [one for one in cut([DATA[:at], noise(100_000, "rows"), DATA[at:]]) if one not in before]
    assert sum(map(len, new)) <= 100_000 + 2 * LARGEST
    assert len(new) <= 3


def test_data_without_any_pattern_to_cut_at_is_cut_at_the_largest() -> None:
    assert set(lengths(bytes(9 * MB))[:-1]) == {LARGEST}


def test_nothing_is_no_chunk() -> None:
    assert lengths(b"") == []


def test_an_error_of_the_source_passes_through() -> None:
    def broken() -> Iterator[bytes]:
        yield DATA[:1000]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(cut(broken()))
