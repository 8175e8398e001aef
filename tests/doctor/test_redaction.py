"""What is taken out, where it stands, and what is left alone."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from shipway.doctor.redaction import REDACTED, Redactor, is_secret_name, url_passwords

SECRET = 'pa"ss wörd/&=1'
NOTHING = Redactor([])


@pytest.mark.parametrize(
    "printed",
    [
        SECRET,
        f"before {SECRET} after",
        json.dumps({"x": SECRET}),
        json.dumps({"x": SECRET}, ensure_ascii=False),
        repr(SECRET),
        f"https://host/{quote(SECRET)}?key={quote(SECRET, safe='')}",
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_known_value_is_found_as_programs_print_it(printed: str) -> None:
    found = Redactor([f"{SECRET}\n"]).text(printed)
    assert REDACTED in found
    assert SECRET not in found
    assert "ss w" not in found


def test_the_lines_of_a_long_value_are_found_apart_because_a_log_has_a_time_before_each() -> None:
    key = "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END KEY-----\n"
    log = "".join(f"2026-01-01T00:00:00Z stdout {line}\n" for line in key.splitlines())
    assert Redactor([key]).text(log).count(REDACTED) == 4


def test_a_short_value_is_taken_as_a_whole_word_only() -> None:
    assert Redactor(["42"]).text("42 4242 x=42") == f"{REDACTED} 4242 x={REDACTED}"


def test_the_longer_of_two_values_goes_first() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh") == REDACTED


@pytest.mark.parametrize("value", ["", "\n", "  "])
def test_an_empty_value_takes_nothing(value: str) -> None:
    assert Redactor([value]).text("all of it") == "all of it"


@pytest.mark.parametrize(
    "text, left",
    [
        ("https://ada:pw@host/simple", f"https://{REDACTED}@host/simple"),
        ("https://token@host/simple", f"https://{REDACTED}@host/simple"),
        ("Authorization: Bearer abc.def", f"Authorization: {REDACTED}"),
        ('{"Authorization": "Basic YWRhOnB3"}', f'{{"Authorization": "{REDACTED}"}}'),
        ("curl -H 'bearer abcdefgh=='", f"curl -H 'bearer {REDACTED}'"),
        ("DB_PASSWORD=pw", f"DB_PASSWORD={REDACTED}"),
        ("password: pw", f"password: {REDACTED}"),
        ("--api-key=pw next", f"--api-key={REDACTED} next"),
        (r"{\"client_secret\": \"pw\"}", rf"{{\"client_secret\": \"{REDACTED}\"}}"),
        ("AKIAIOSFODNN7EXAMPLE", REDACTED),
        ("ghp_0123456789abcdefghij", REDACTED),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig", REDACTED),
        ('"secret": {"name": "db"}', '"secret": {"name": "db"}'),
        ("the secret of success", "the secret of success"),
        ("https://ada:p@w@host/", f"https://{REDACTED}@host/"),
        ("basic training", f"basic {REDACTED}"),  # too much rather than too little
        ("http://127.0.0.1:8100/digits", "http://127.0.0.1:8100/digits"),
    ],
)
def test_what_is_not_known_is_found_by_its_place(text: str, left: str) -> None:
    assert NOTHING.text(text) == left


@pytest.mark.parametrize(
    "document, left",
    [
        ({"env": {"A": "1", "B": {"secret": {"name": "db", "key": "pw"}}}}, None),
        ({"env": {"A": {"other": "x"}}}, {"env": {"A": REDACTED}}),
        ({"params": {"apiKey": "pw", "slope": 2}}, {"params": {"apiKey": REDACTED, "slope": 2}}),
        ({"command": ["run", "--token", "pw", "x"]}, {"command": ["run", "--token", REDACTED, "x"]}),
        ({"tokens": 12, "ok": True, "none": None}, {"tokens": 12, "ok": True, "none": None}),
        ([1.5, "https://u:p@h"], [1.5, f"https://{REDACTED}@h"]),
    ],
)
def test_a_document_keeps_its_names_and_loses_its_values(document: Any, left: Any) -> None:
    left = {"env": {"A": REDACTED, "B": {"secret": {"name": "db", "key": "pw"}}}} if left is None else left
    assert NOTHING.document(document) == left


def test_a_secret_that_is_a_number_is_found_as_one() -> None:
    assert Redactor(["12345"]).document({"pin": 12345, "x": 123456}) == {"pin": REDACTED, "x": 123456}


def test_passwords_of_urls_come_as_written_and_decoded() -> None:
    found = set(url_passwords(["https://u:p%40w@h/ https://tok@h http://h", "http://[broken"]))
    assert found == {"p%40w", "p@w", "tok"}


@pytest.mark.parametrize("name", ["DB_PASSWORD", "apiKey", "HF_TOKEN", "x-secret", "AWS_SECRET_ACCESS_KEY", "my_pwd"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "OLDPWD", "PATH", "SSH_AUTH_SOCK", "author", "key"])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)
