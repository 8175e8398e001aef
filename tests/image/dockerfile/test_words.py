"""Quotes, escapes and variables, as BuildKit's own tables have them (frontend/dockerfile/shell)."""

from __future__ import annotations

import pytest

from shipway.image.dockerfile.words import expand, pairs, split

WORDS = [
    ("hello", "hello"),
    ("he'll'o", "hello"),
    (r"he\'llo", "he'llo"),
    (r"he\\llo", r"he\llo"),
    (r"abc\tdef", "abctdef"),
    (r'"abc\tdef"', r"abc\tdef"),
    (r"'abc\tdef'", r"abc\tdef"),
    (r'"hel\"lo"', 'hel"lo'),
    ('"hel\'lo"', "hel'lo"),
    ("'hel\"lo'", 'hel"lo'),
    ("''", ""),
    ("hello\\", "hello"),
    ("$", "$"),
    ("$X", ""),
    ("he$PWD.", "he/home."),
    ("he$PWDx", "he"),
    ("he${PWD}x", "he/homex"),
    (r"he\$PWD", "he$PWD"),
    ("'he$PWD'", "he$PWD"),
    ('"he$PWD"', "he/home"),
    (r'"he\$PWD"', "he$PWD"),
    ("한글${KOREAN}", "한글한국어"),
    ("${X:-word}", "word"),
    ("${EMPTY:-word}", "word"),
    ("${EMPTY-word}", ""),
    ("${X-word}", "word"),
    ("${PWD:-word}", "/home"),
    ("${PWD:+word}", "word"),
    ("${EMPTY:+word}", ""),
    ("${EMPTY+word}", "word"),
    ("${X:+word}", ""),
    ("${X:-$SHELL}", "bash"),
    ("${X:-${Y:-last}}", "last"),
    ("${X:-'a}b'}", "a}b"),
    ("${X:-}", ""),
    ("$1", ""),
    ("${PWD:?unset}", "/home"),
]
VARIABLES = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "EMPTY": ""}


def test_a_word_is_what_docker_makes_of_it() -> None:
    assert [(word, expand(word, VARIABLES)) for word, _ in WORDS] == WORDS


@pytest.mark.parametrize(
    "word", ["he'llo", '"hello', "${", "${}", "${X", "${X:", "${X:-a", "${X!y}", "${X:?not there}"]
)
def test_what_docker_refuses(word: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        expand(word, VARIABLES)


def test_another_escape_leaves_the_backslash_alone() -> None:
    assert expand(r"c:\dir\`$x", {}, "`") == r"c:\dir\$x"


def test_a_value_cannot_grow_without_an_end() -> None:
    with pytest.raises(ValueError, match="more than"):
        expand("$A" * 3000, {"A": "x" * 1000})
    with pytest.raises(ValueError, match="deep"):
        expand("${a:-" * 1000 + "}" * 1000, {})


def test_words_keep_their_quotes() -> None:
    assert split(""" a="b c"  d\\ e 'f g' """) == ('a="b c"', "d\\ e", "'f g'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a=1 b="2 3"', (("a", "1"), ("b", '"2 3"'))),
        ("a=", (("a", ""),)),
        ("a b c", (("a", "b c"),)),
        ("a  b=c", (("a", "b=c"),)),
        ("ONE TWO= THREE=world", (("ONE", "TWO= THREE=world"),)),
        (r"a=b\ c", (("a", r"b\ c"),)),
    ],
)
def test_names_and_values(text: str, expected: tuple[tuple[str, str], ...]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize("text", ["", "a", "a=1 b", "=1"])
def test_names_without_values(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        pairs(text)
