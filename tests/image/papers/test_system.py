"""What dpkg's database says."""

from __future__ import annotations

import pytest

from shipway.errors import Refused
from shipway.image.papers import system
from shipway.image.papers.system import SystemPackage
from shipway.image.view import View
from tests.image.papers.images import STATUS, Workshop


def test_what_is_installed_counts_and_what_was_removed_does_not() -> None:
    found = list(system.packages(STATUS.decode()))
    assert found == [SystemPackage("libc6", "2.36-9+deb12u7", "amd64", "glibc")]


def test_distroless_keeps_a_file_for_each(workshop: Workshop) -> None:
    files = {
        "etc/os-release": b"ID=debian\nVERSION_ID='12'\n",
        "var/lib/dpkg/status.d/tzdata": b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n",
        "var/lib/dpkg/status.d/tzdata.md5sums": b"0 usr/share\n",
    }
    found = system.read(View(workshop.layout, workshop.base(files).layers))
    assert (found.distribution, found.release) == ("debian", "12")
    assert [one.name for one in found.packages] == ["tzdata"]


def test_nothing_is_known_of_what_has_no_dpkg(workshop: Workshop) -> None:
    assert system.read(View(workshop.layout, workshop.base({"bin/sh": b""}).layers)) == system.System()


def test_a_database_that_is_too_large_is_not_read(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_LARGEST", 100)
    files = {f"var/lib/dpkg/status.d/{number}": b"Package: x\n" * 5 for number in range(2)}
    with pytest.raises(Refused, match="has 110 bytes: at most 100"):
        system.read(View(workshop.layout, workshop.base(files).layers))


def test_rubbish_is_passed_over() -> None:
    assert list(system.packages("no colon\n\n\nPackage: \nVersion: 1\n\n \tx: y\n")) == []
