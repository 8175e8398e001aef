"""What people are told of a registry's no, and what never."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import RegistryBroken, RegistryRefused, RegistryUnreachable, from_json
from shipway.oci.registry import errors

URL = "https://user:pw@reg.example/v2/a/blobs/uploads/1?_state=SECRET#f"
BODY = json.dumps({"errors": [{"code": "DENIED", "message": "not\nyours", "detail": {"token": "SECRET"}}]}).encode()


def test_an_error_has_method_url_status_and_the_registrys_words() -> None:
    error = errors.refusal("PUT", URL, 403, BODY, host="reg.example", scope="repository:a:pull,push")
    assert isinstance(error, RegistryRefused)
    assert error.message == "PUT https://reg.example/v2/a/blobs/uploads/1: 403 DENIED: not yours"
    assert (error.status, error.diagnosis) == (403, "DENIED: not yours")
    assert "repository:a:pull,push" in error.next_step
    assert "SECRET" not in str(error) and "pw" not in str(error)


@pytest.mark.parametrize(
    "status, kind, step",
    [
        (401, RegistryRefused, "docker login reg.example"),
        (404, RegistryRefused, "written right"),
        (405, RegistryRefused, "storage.delete.enabled"),
        (413, RegistryRefused, "too large"),
        (418, RegistryRefused, "Ask who runs"),
        (429, RegistryUnreachable, "fewer requests"),
        (500, RegistryUnreachable, "fails"),
        (503, RegistryUnreachable, "fails"),
        (501, RegistryRefused, "Ask who runs"),
    ],
)
def test_each_status_has_a_next_step(status: int, kind: type[Exception], step: str) -> None:
    error = errors.refusal("GET", URL, status, b"", host="reg.example")
    assert type(error) is kind and step in error.next_step


def test_what_the_hub_says_is_the_same_error_for_its_client() -> None:
    error = errors.refusal("PUT", URL, 403, BODY, host="reg.example")
    again = from_json(error.to_json())
    assert isinstance(again, RegistryRefused) and again.message == error.message
    assert isinstance(from_json(errors.broken("GET", URL, "x").to_json()), RegistryBroken)


def test_bodies_are_read_up_to_a_limit() -> None:
    many = json.dumps({"errors": [{"code": f"C{number}", "message": "m" * 400} for number in range(9)]}).encode()
    assert len(errors.diagnosis(many)) == 500
    assert errors.diagnosis(b'{"errors":[' + b" " * errors.LARGEST + b"]}") == ""
    assert errors.diagnosis(b"[" * 60_000) == ""


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=100)
    | st.recursive(
        st.none() | st.text(max_size=9),
        lambda b: st.lists(b) | st.dictionaries(st.sampled_from(["errors", "code", "message"]), b),
    ).map(lambda d: json.dumps(d).encode())
)
def test_any_body_is_told_in_a_printable_line(body: bytes) -> None:
    assert errors.diagnosis(body).isprintable() or not errors.diagnosis(body)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_any_url_is_shown_without_its_query(text: str) -> None:
    assert "SECRET" not in errors.plain(f"https://h/{text.replace('?', '')}?SECRET")
