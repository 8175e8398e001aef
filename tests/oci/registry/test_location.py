"""Where a server sends us."""

from __future__ import annotations

import pytest

from shipway.errors import RegistryBroken
from shipway.oci.registry.location import follow, origin, with_digest

URL = "https://reg.example/v2/a/blobs/uploads/"


@pytest.mark.parametrize(
    "location, target",
    [
        ("/v2/a/blobs/uploads/1?_state=a%3Db%2F&x=1", "https://reg.example/v2/a/blobs/uploads/1?_state=a%3Db%2F&x=1"),
        ("1?s=2", "https://reg.example/v2/a/blobs/uploads/1?s=2"),
        ("https://store.example:8443/x?sig=%2B", "https://store.example:8443/x?sig=%2B"),
    ],
)
def test_locations_are_followed_with_their_query(location: str, target: str) -> None:
    assert follow("POST", URL, location) == target


@pytest.mark.parametrize("location", ["", "ftp://x/y", "file:///etc/passwd", "http://[x", "/a\r\nHost: b", "/ä"])
def test_what_is_no_place_is_not_followed(location: str) -> None:
    with pytest.raises(RegistryBroken, match="no Location"):
        follow("POST", URL, location)


def test_https_is_never_left() -> None:
    with pytest.raises(RegistryBroken, match=r"from https to http://reg\.example/x:"):
        follow("GET", URL, "http://reg.example/x?secret=1")


def test_origins_are_compared_with_their_ports() -> None:
    assert origin("https://A.example/x") == origin("https://a.example:443/y")
    assert origin("https://a.example/") != origin("https://a.example:8443/")
    assert origin("https://a.example/") != origin("http://a.example/")


def test_the_digest_is_added_to_what_stands_there() -> None:
    assert with_digest("https://r/u?_state=%3D", "sha256:1") == "https://r/u?_state=%3D&digest=sha256:1"
    assert with_digest("https://r/u", "sha256:1") == "https://r/u?digest=sha256:1"
