"""Blocks of headers that came before: what they say hangs on the table, which other blocks change."""

from __future__ import annotations

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.server.rpc import blocks, frames
from shipway.runtime.server.rpc.blocks import Blocks

FIELDS = [
    (b"a", b"1"),
    (b"a", b"2"),
    (b"b", b"1"),
    (b"long", b"x" * 600),
    (b"larger", b"x" * 5000),
    (b"user-agent", b""),
]
Step = tuple[list[tuple[tuple[bytes, bytes], bool]], int | None]


def _read(known: Blocks, block: bytes) -> dict[str, str]:
    head = known.begin(frames.END_HEADERS, 1, block)
    assert head is not None
    return dict(head.fields)


@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.tuples(st.sampled_from(FIELDS), st.booleans()), min_size=1, max_size=3),
            st.one_of(st.none(), st.none(), st.sampled_from([0, 40, 80, 4096])),
        ),
        max_size=40,
    )
)
def test_what_is_known_is_what_a_decoder_that_knows_nothing_reads(steps: list[Step]) -> None:
    encoder, decoder, known = Encoder(), Decoder(), Blocks()
    for fields, size in steps:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode([NeverIndexedHeaderTuple(*one) if never else one for one, never in fields])
        assert _read(known, block) == {name.decode(): value.decode() for name, value in decoder.decode(block, raw=True)}


def test_the_same_bytes_say_something_else_when_the_table_has_changed() -> None:
    encoder, known = Encoder(), Blocks()
    first, again = encoder.encode([(b"a", b"1")]), encoder.encode([(b"a", b"1")])
    assert [_read(known, one) for one in (first, again, again)] == [{"a": "1"}] * 3
    assert len(known._known) == 1
    other = encoder.encode([(b"b", b"2")])
    assert encoder.encode([(b"b", b"2")]) == again
    assert [_read(known, one) for one in (other, again)] == [{"b": "2"}] * 2


def test_a_block_that_is_known_is_not_decoded_again() -> None:
    encoder, known = Encoder(), Blocks()
    block = encoder.encode([NeverIndexedHeaderTuple(b"a", b"1")])
    _read(known, block)
    known._decoder.decode = None  # type: ignore[method-assign, assignment]
    assert _read(known, block) == {"a": "1"}


def test_who_sends_another_block_each_time_fills_no_memory() -> None:
    encoder, known = Encoder(), Blocks()
    for number in range(200):
        _read(known, encoder.encode([NeverIndexedHeaderTuple(b"a", b"%d" % number)]))
    assert 0 < len(known._known) <= blocks._MOST_KNOWN
    _read(known, encoder.encode([NeverIndexedHeaderTuple(b"a", b"x" * 2000)]))
    assert all(len(one) <= blocks._LONGEST_KNOWN for one in known._known)
