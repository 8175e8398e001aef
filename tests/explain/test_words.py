"""The tables agree: every documented reason has a phrase, and every advice is a command that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shipway.cli.main import COMMANDS
from shipway.explain.words import ADVICE, PHRASES

PAGE = Path(__file__).parents[2] / "docs" / "errors" / "reasons.md"
TYPES_ONLY = {"Complete"}  # a condition's type; Ready, RolledOut and Programmed are reasons too


def test_every_reason_of_the_page_has_a_phrase_and_no_other() -> None:
    on_page = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE)) - TYPES_ONLY
    assert on_page - PHRASES.keys() == set(), "on the page, without a phrase"
    assert PHRASES.keys() - on_page == set(), "a phrase, and not on the page"


def test_advice_is_for_reasons_that_exist() -> None:
    assert ADVICE.keys() <= PHRASES.keys()


@pytest.mark.parametrize("reason", ADVICE)
def test_advice_names_a_command(reason: str) -> None:
    words, command = ADVICE[reason]
    program, *rest = command.format(name="n", noun="job", model="m").split()
    assert words and "{" not in command.format(name="n", noun="job", model="m")
    assert program != "shipway" or rest[0] in COMMANDS
