"""References: what is one, what is not, and that writing and reading them agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import UserError
from shipway.oci import Digest
from shipway.oci.reference import Reference

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    "text, parts",
    [
        ("ghcr.io/team/digits:3", ("ghcr.io", "team/digits", "3", None)),
        ("localhost/digits", ("localhost", "digits", None, None)),
        ("127.0.0.1:5000/a/b_c/d-e.f:v1.0_x", ("127.0.0.1:5000", "a/b_c/d-e.f", "v1.0_x", None)),
        ("[::1]:5000/a", ("[::1]:5000", "a", None, None)),
        (f"reg.corp:443/a@{DIGEST}", ("reg.corp:443", "a", None, DIGEST)),
        (f"reg.corp/a:tag@{DIGEST}", ("reg.corp", "a", "tag", DIGEST)),
    ],
)
def test_a_reference_is_read_and_written(text: str, parts: tuple[str | None, ...]) -> None:
    found = Reference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == parts
    assert str(found) == text


@pytest.mark.parametrize(
    "text, why",
    [
        ("digits:3", "not a registry"),
        ("team/digits", "'team' is not a registry"),
        ("ghcr.io", "no repository follows the registry 'ghcr.io'"),
        ("GHCR.io:5000", "no repository follows"),
        ("ghcr.io/", "is not a repository"),
        ("ghcr.io/Team", "is not a repository"),
        ("ghcr.io/../etc", "is not a repository"),
        ("ghcr.io/a//b", "is not a repository"),
        ("ghcr.io/a:.tag", "is not a tag"),
        ("ghcr.io/a:" + "t" * 129, "is not a tag"),
        ("ghcr.io:0/a", "not a host with a port"),
        ("ghcr.io:99999/a", "not a host with a port"),
        ("user@ghcr.io/a", "not a registry"),
        ("ghcr.io/a@sha256:1", "is not a digest"),
        ("https://ghcr.io/a", "not a host with a port"),
        ("ghcr.io/" + "a" * 256, "is not a repository"),
        ("", "not a registry"),
    ],
)
def test_what_is_none_says_why(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        Reference.parse(text)


def test_the_digest_is_the_name_where_there_is_one() -> None:
    reference = Reference.parse("ghcr.io/a:1")
    assert (reference.name, Reference.parse("ghcr.io/a").name) == ("1", "latest")
    assert reference.pinned(Digest(DIGEST)).name == DIGEST
    assert str(reference.pinned(Digest(DIGEST)).tagged("2")) == "ghcr.io/a:2"
    with pytest.raises(UserError, match="is not a tag"):
        reference.tagged("a b")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z.:0-9/@_-]{1,60}", fullmatch=True))
def test_any_text_is_a_reference_that_comes_back_or_an_error_of_ours(text: str) -> None:
    try:
        found = Reference.parse(text)
    except UserError:
        return
    assert Reference.parse(str(found)) == found
    assert "//" not in found.repository and ".." not in found.repository.split("/")
