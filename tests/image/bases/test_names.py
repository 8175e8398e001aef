"""What a base's name means."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.image.bases.apt_sources import lines
from shipway.image.bases.names import InFiles, InRegistry, MadeHere, parse


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("python", "docker.io/library/python:latest"),
        ("team/base:1", "docker.io/team/base:1"),
        ("ghcr.io/team/base:1", "ghcr.io/team/base:1"),
        ("localhost/base", "localhost/base:latest"),
        ("127.0.0.1:5000/base:1", "127.0.0.1:5000/base:1"),
        ("debian:12-slim", "docker.io/library/debian:12-slim"),
        (f"python@sha256:{'a' * 64}", f"docker.io/library/python@sha256:{'a' * 64}"),
    ],
)
def test_registries(name: str, full: str) -> None:
    said, source = parse(name)
    assert said == full and isinstance(source, InRegistry) and str(source.reference) == full


def test_files_and_what_is_made_here() -> None:
    assert parse("oci:/a/b:tag") == ("oci:/a/b:tag", InFiles(Path("/a/b"), "tag"))
    assert parse("oci:/home/oci:image/app:1")[1] == InFiles(Path("/home/oci"), "image/app:1")
    assert parse("oci:../a") == ("oci:../a", InFiles(Path("../a")))
    assert parse("tar:a.tar")[1] == InFiles(Path("a.tar"), archive=True)
    assert parse("debian:bookworm") == ("debian:bookworm", MadeHere("bookworm"))


@pytest.mark.parametrize(
    "name", ["", "oci:", "tar::x", "Python:3.11", "python:", "a b", "python@sha256:1", "https://x/y"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        parse(name)


def test_the_machines_own_mirrors_are_taken() -> None:
    files = {
        "/etc/apt/sources.list": (
            "# a comment\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib # here too\n"
            "deb-src http://mirror/debian bookworm main\n"
            "deb http://mirror/debian trixie main\n"
        ),
        "/etc/apt/sources.list.d/debian.sources": (
            "Types: deb deb-src\n# said\nURIs: http://mirror/security\nSuites: bookworm-security\n bookworm-updates\n"
            "Components: main\nSigned-By: /usr/share/k.gpg\n\n"
            "Types: deb\nURIs: http://off\nSuites: bookworm\nEnabled: no\n\n"
            "Types: deb\nURIs: http://other\nSuites: nodistro\nSigned-By:\n -----BEGIN PGP-----\n x\n"
        ),
    }
    assert lines(files, "bookworm") == (
        "deb [signed-by=/k.gpg] http://mirror/debian bookworm main",
        "deb [signed-by=/usr/share/k.gpg] http://mirror/security bookworm-security main",
        "deb [signed-by=/usr/share/k.gpg] http://mirror/security bookworm-updates main",
    )
    assert lines(files, "trixie") == ("deb http://mirror/debian trixie main",)
    assert lines(files, "nodistro") == ("deb http://other nodistro main",), "a key that stands there itself"
    assert lines(files, "sid") == lines({}, "sid") == lines({"x.sources": "\n\nnonsense\n"}, "sid") == ()


def test_updates_alone_are_no_release() -> None:
    assert lines({"a.list": "deb http://m/d bookworm-updates main\n"}, "bookworm") == ()
