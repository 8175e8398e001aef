"""uv itself installs what is locked, whole or not at all, and only the very files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import Corrupt, DependencyFailed, EnvironmentFault, NotFound, Refused
from shipway.image.lock import Package
from tests.image.made_wheels import ALPINE, DEBIAN, DEBIAN_ARM, Place, file_at, sdist, wheel

_AMD, _ARM = "cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_28_aarch64"


def _content(site: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in site.rglob("*.py")}


@pytest.mark.slow
def test_the_locked_files_are_installed_for_another_machine(place: Place) -> None:
    fast = Package("fast", "1.0", wheel(place.folder, "fast", "1.0", _ARM))
    pure = Package("pure", "1.0", wheel(place.folder, "pure", "1.0", requires=["not-asked-for"]))
    wheel(place.folder, "fast", "1.0", _AMD)
    site = place.installed([fast, pure], DEBIAN_ARM)
    assert _content(site) == {"fast.py": "version = '1.0'\n", "pure.py": "version = '1.0'\n"}
    assert _ARM in (site / "fast-1.0.dist-info" / "WHEEL").read_text()
    assert (site / "pure.py").stat().st_nlink > 1  # not copied: the file of uv's cache
    assert [*place.scratch.iterdir()] == []


def test_nothing_locked_is_an_empty_folder(place: Place, tmp_path: Path) -> None:
    place.installer.install([], DEBIAN, tmp_path / "site")
    assert [*(tmp_path / "site").iterdir()] == []


def test_data_and_scripts_lie_where_an_environment_has_them(place: Place, tmp_path: Path) -> None:
    files = {"tool-1.0.data/data/share/tool/x": "x", "tool-1.0.data/scripts/tool": "#!python\n"}
    place.installed([Package("tool", "1.0", wheel(place.folder, "tool", "1.0", files=files))])
    assert (tmp_path / "site/share/tool/x").read_text() == "x"
    assert (tmp_path / "site/bin/tool").read_text() == f"#!{sys.executable}\n"


def test_a_wheel_that_does_not_fit_is_refused_before_uv_is_asked(place: Place, tmp_path: Path) -> None:
    package = Package("fast", "1.0", wheel(place.folder, "fast", "1.0", _AMD))
    with pytest.raises(Refused, match=r"^no wheel of fast 1\.0 for linux/amd64, Python 3\.11, musl 1\.2\.5"):
        replace(place, uv=tmp_path / "none").installer.install([package], ALPINE, tmp_path / "site")


def test_a_file_that_was_replaced_is_named_and_nothing_is_there(place: Place, tmp_path: Path) -> None:
    locked = wheel(place.folder, "one", "1.0")
    got = wheel(place.folder, "one", "1.0", files={"evil.py": ""})
    with pytest.raises(Corrupt) as caught:
        place.installer.install([Package("one", "1.0", locked)], DEBIAN, tmp_path / "site")
    for word in (locked.name, locked.sha256, got.sha256, "--upgrade"):
        assert word in str(caught.value)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["scratch", "wheels"]


def test_of_two_files_of_a_version_the_locked_one_is_installed(place: Place, tmp_path: Path) -> None:
    wheel(place.folder, "one", "1.0")
    other = tmp_path / "other"
    other.mkdir()
    locked = wheel(other, "one", "1.0", files={"two.py": ""})
    both = replace(place.configuration, find_links=(str(place.folder), str(other)))
    site = replace(place, configuration=both).installed([Package("one", "1.0", locked)])
    assert set(_content(site)) == {"one.py", "two.py"}


def test_a_file_that_is_gone_is_named(place: Place, tmp_path: Path) -> None:
    package = Package("one", "1.0", wheel(place.folder, "one", "1.0"))
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    wheel(place.folder, "one", "2.0")
    with pytest.raises(NotFound, match=r"^one==1\.0 is locked, and no index has it for linux/amd64"):
        place.installer.install([package], DEBIAN, tmp_path / "site")


@pytest.mark.thorough
def test_a_source_distribution_is_built_once(place: Place, tmp_path: Path) -> None:
    source = sdist(place.folder, "old", "1.0")
    package = Package("old", "1.0", None, source)
    here = replace(place, machine=DEBIAN)
    first, second = (here.installed([package], name=one) for one in ("first", "second"))
    assert _content(first) == {"old.py": "built = True\n"}
    assert (first / "old.py").samefile(second / "old.py")
    changed = replace(package, sdist=replace(source, sha256="0" * 64))
    with pytest.raises(Corrupt):
        here.installer.install([changed], DEBIAN, tmp_path / "site")


@pytest.mark.thorough
def test_what_was_compiled_here_needs_a_libc_as_new(place: Place, tmp_path: Path) -> None:
    sdist(place.folder, "pure", "1.0")
    sdist(place.folder, "fast", "1.0", "cp311-cp311-linux_x86_64")
    fast, pure = (Package(one, "1.0", None, file_at(place.folder / f"{one}-1.0.tar.gz")) for one in ("fast", "pure"))
    older = replace(DEBIAN, python=replace(DEBIAN.python, libc_version="2.31"))
    here = replace(place, machine=DEBIAN)
    here.installed([pure], older, "older")
    here.installed([fast, pure], DEBIAN, "same")
    with pytest.raises(Refused, match=r"fast 1\.0 was compiled .* against glibc 2\.36 .* base has 2\.31"):
        here.installer.install([fast, pure], older, tmp_path / "site")


@pytest.mark.thorough
def test_what_was_compiled_here_is_for_this_machine_alone(place: Place, tmp_path: Path) -> None:
    package = Package("fast", "1.0", None, sdist(place.folder, "fast", "1.0", "cp311-cp311-linux_x86_64"))
    with pytest.raises(Refused, match=r"^fast-1\.0-cp311-cp311-linux_x86_64\.whl was built .* run on linux/arm64"):
        place.installer.install([package], DEBIAN_ARM, tmp_path / "site")


def _uv(folder: Path, script: str) -> Path:
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\necho . >> {folder}/calls\n{script}\n")
    path.chmod(0o700)
    return path


@pytest.mark.parametrize(
    "script, kind, words",
    [
        ("kill -9 $$", DependencyFailed, "exit code -9"),
        ("echo 'error: x: No space left on device (os error 28)' >&2; exit 1", EnvironmentFault, "the disk is full"),
        ("echo '  cause: client error: dns error' >&2; exit 1", DependencyFailed, "cannot be reached"),
    ],
)
def test_a_uv_that_fails_leaves_nothing(
    place: Place, tmp_path: Path, script: str, kind: type[EnvironmentFault], words: str
) -> None:
    package = Package("one", "1.0", wheel(place.folder, "one", "1.0"))
    into = tmp_path / "into"
    into.mkdir()
    broken = _uv(tmp_path, f'mkdir "$4/lib"; {script}')
    with pytest.raises(kind, match=words):
        replace(place, uv=broken).installer.install([package], DEBIAN, into / "site")
    assert [*into.iterdir()] == []
    assert (tmp_path / "calls").read_text().count(".") == (3 if "kill" in script else 1)


@pytest.mark.thorough
def test_a_killed_process_leaves_no_folder_that_looks_whole(place: Place, tmp_path: Path) -> None:
    """Killed while uv has installed half of it."""
    package = Package("one", "1.0", wheel(place.folder, "one", "1.0"))
    into = tmp_path / "into"
    into.mkdir()
    half = _uv(tmp_path, f'mkdir "$4/lib"; touch {tmp_path}/half; exec sleep 60')
    code = (
        "import sys; from pathlib import Path; from tests.image.made_wheels import *\n"
        f"place = Place(Path({str(place.folder)!r}), PipConfiguration(), {dict(place.environ)!r})\n"
        f"place = replace(place, uv=Path({str(half)!r}))\n"
        f"place.installer.install([Package('one', '1.0', file_at(Path({str(place.folder / package.file.name)!r})))],"
        f" DEBIAN, Path({str(into / 'site')!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3], start_new_session=True)
    try:
        while not (tmp_path / "half").exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert not (into / "site").exists()
    assert [one.name.startswith(".installing-") for one in into.iterdir()] == [True]
    place.installer.install([package], DEBIAN, into / "site")
    assert next((into / "site").rglob("one.py")).is_file()
    assert [*place.scratch.iterdir()] == []
