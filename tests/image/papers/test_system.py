"""What dpkg's database says."""

from __future__ import annotations

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


def test_rubbish_is_passed_over() -> None:
    assert list(system.packages("no colon\n\n\nPackage: \nVersion: 1\n\n \tx: y\n")) == []
