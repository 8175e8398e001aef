"""Heads that are known: the same request as the parser makes, and never a guess."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipway.runtime.server.http import heads
from shipway.runtime.server.http.heads import Heads
from shipway.runtime.server.http.messages import Request
from tests.runtime.http.face import raw

ROWS = b'{"input": [[1, 2]]}'


def parsed(data: bytes, **how: bool) -> Request:
    """What the parser makes of it."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split()
    return Request(method, path, dict(line.lower().split(": ") for line in lines), 1.0, body, **how)


def test_the_second_time_it_is_known() -> None:
    data = raw("POST", "/predict", ROWS, {"accept": "*/*"})
    known = Heads()
    assert known.find(data, 1.0) is None
    known.learn(data, parsed(data))
    other = ROWS.replace(b"1", b"7")
    found = known.find(data.replace(ROWS, other), 2.0)
    assert found is not None
    assert (found.method, found.path, found.body, found.came) == ("POST", "/predict", other, 2.0)
    assert found.headers == {"host": "x", "content-length": str(len(ROWS)), "accept": "*/*"}
    assert found.keep_alive and found.chunked


@given(cut=st.integers(0, 200), more=st.binary(max_size=40))
def test_what_is_less_or_more_than_one_request_is_not_found(cut: int, more: bytes) -> None:
    data, known = raw("POST", "/predict", ROWS, {}), Heads()
    known.learn(data, parsed(data))
    other = data[:cut] + more + data[cut:]
    assert (known.find(other, 1.0) is not None) == (len(other) == len(data) or other == data)
    if cut < len(data):
        assert known.find(data[:cut], 1.0) is None


def test_heads_that_tell_requests_apart_or_hold_secrets_are_not_kept() -> None:
    for header in ("x-request-id", "traceparent", "authorization", "x-shipway-admin-key", "expect", "upgrade"):
        data, known = raw("POST", "/predict", ROWS, {header: "1"}), Heads()
        known.learn(data, parsed(data))
        assert known.find(data, 1.0) is None, header
    for data, how in (
        (raw("POST", "/predict", [ROWS], {}), {}),
        (raw("POST", "/predict", ROWS, {}), {"keep_alive": False}),
        (raw("POST", "/predict", ROWS, {}), {"chunked": False}),
        (raw("POST", "/predict", ROWS, {"a": "b" * 1024}), {}),
    ):
        known = Heads()
        known.learn(data, parsed(data, **how))
        assert known.find(data, 1.0) is None


def test_the_end_of_what_came_teaches_nothing() -> None:
    first, second, known = raw("POST", "/predict", ROWS, {}), raw("GET", "/v2", b"", {}), Heads()
    known.learn(first + second, parsed(second))
    known.learn(b"\r\n" + first, parsed(first))
    assert known.find(first + second, 1.0) is None and known.find(second, 1.0) is None


def test_strangers_cannot_fill_the_memory() -> None:
    known = Heads()
    for number in range(2000):
        data = raw("POST", f"/{number}", b"", {})
        known.learn(data, parsed(data))
    assert 0 < len(known._known) <= heads._MOST
