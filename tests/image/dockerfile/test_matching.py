"""The table of Go's own test (path/filepath/match_test.go), which Docker's COPY goes by."""

from __future__ import annotations

import pytest

from shipway.image.dockerfile.matching import is_pattern, matcher

MATCHES = [
    ("abc", "abc", True),
    ("*", "abc", True),
    ("*c", "abc", True),
    ("a*", "a", True),
    ("a*", "abc", True),
    ("a*", "ab/c", False),
    ("a*/b", "abc/b", True),
    ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
    ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True),
    ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True),
    ("ab[b-d]", "abc", True),
    ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False),
    ("ab[^b-d]", "abc", False),
    ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True),
    ("a\\*b", "ab", False),
    ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True),
    ("a???b", "a☺b", False),
    ("[a-ζ]*", "\u03b1", True),
    ("*[a-ζ]", "A", False),
    ("a?b", "a/b", False),
    ("a*b", "a/b", False),
    ("[\\]a]", "]", True),
    ("[\\-]", "-", True),
    ("[x\\-]", "x", True),
    ("[x\\-]", "z", False),
    ("[\\-x]", "a", False),
    ("*x", "xxx", True),
]
BAD = ["[]a]", "[-]", "[x-]", "[-x]", "[", "[^", "[^bc", "a[", "a\\", "[a-b-c]"]


def test_as_go_matches() -> None:
    assert [(pattern, name, matcher(pattern).fullmatch(name) is not None) for pattern, name, _ in MATCHES] == MATCHES


@pytest.mark.parametrize("pattern", BAD)
def test_what_go_calls_a_bad_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        matcher(pattern)


def test_what_is_a_pattern() -> None:
    assert [is_pattern(one) for one in ("a.txt", "*.py", "a?", "[ab]", "a\\b")] == [False, True, True, True, True]
