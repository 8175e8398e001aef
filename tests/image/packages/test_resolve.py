"""uv itself chooses, from folders of wheels that the test made; and a uv that fails at will."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shipway.errors import DependencyFailed, NotFound, Refused, UserError
from shipway.image.lock import Package
from tests.image.made_wheels import ALPINE, DEBIAN, DEBIAN_ARM, Place, sdist, wheel

_AMD, _ARM, _MUSL = (
    f"cp311-cp311-{one}" for one in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64")
)


def _names(packages: tuple[Package, ...]) -> dict[str, str]:
    return {f"{one.name}=={one.version}": one.file.name for one in packages}


@pytest.mark.slow
def test_each_platform_gets_the_one_wheel_that_fits_it(place: Place) -> None:
    for tag in (_AMD, _ARM, _MUSL, "cp312-cp312-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_40_x86_64"):
        wheel(place.folder, "fast", "1.0", tag)
    pure = wheel(place.folder, "app", "1.0", requires=["fast", 'gone; python_full_version >= "3.11.5"'])
    wheel(place.folder, "gone", "1.0")
    for target, tag in ((DEBIAN, _AMD), (DEBIAN_ARM, _ARM)):
        found = place.resolver.resolve(["app"], target)
        assert _names(found) == {"app==1.0": pure.name, "fast==1.0": f"fast-1.0-{tag}.whl"}
        assert found[0].wheel == pure
    # The base's Python decides, not that of this machine: Alpine's is 3.11.9.
    assert set(_names(place.resolver.resolve(["app"], ALPINE))) == {"app==1.0", "fast==1.0", "gone==1.0"}


def test_nothing_asked_is_nothing_needed(place: Place) -> None:
    assert place.resolver.resolve([], DEBIAN) == ()


@pytest.mark.slow
def test_pins_stay_where_they_fit_and_keep_their_files(place: Place) -> None:
    for version in ("1.0", "2.0"):
        wheel(place.folder, "one", version)
        wheel(place.folder, "two", version, requires=["one"])
    pins = place.resolver.resolve(["two==1.0", "one==1.0"], DEBIAN)
    assert _names(place.resolver.resolve(["two"], DEBIAN, pins)) == _names(pins)
    assert set(_names(place.resolver.resolve(["two"], DEBIAN))) == {"two==2.0", "one==2.0"}
    # One of them fits no more, the other stays.
    assert set(_names(place.resolver.resolve(["two", "one>1"], DEBIAN, pins))) == {"two==1.0", "one==2.0"}
    # A second file of the version appeared, which fits better: what was locked is what is installed.
    wheel(place.folder, "one", "1.0", _AMD)
    assert _names(place.resolver.resolve(["two"], DEBIAN, pins)) == _names(pins)


def test_pips_constraints_hold_with_pins_and_without(place: Place, tmp_path: Path) -> None:
    for version in ("1.0", "2.0", "3.0"):
        wheel(place.folder, "one", version)
        wheel(place.folder, "two", version)
    (tmp_path / "held.txt").write_text("one<3\n")
    held = replace(place, configuration=replace(place.configuration, constraints=(str(tmp_path / "held.txt"),)))
    pins = place.resolver.resolve(["two==1.0"], DEBIAN)
    assert set(_names(held.resolver.resolve(["one", "two"], DEBIAN))) == {"one==2.0", "two==3.0"}
    assert set(_names(held.resolver.resolve(["one", "two"], DEBIAN, pins))) == {"one==2.0", "two==1.0"}


def test_a_wheel_that_does_not_fit_is_refused_by_name(place: Place) -> None:
    wheel(place.folder, "fast", "1.0", _AMD)
    for target, base in ((DEBIAN_ARM, "linux/arm64, Python 3.11, glibc 2.36"), (ALPINE, "musl 1.2.5")):
        with pytest.raises(Refused, match=rf"^no wheel of fast.* {base}; there are wheels for .*manylinux_2_28_x86_64"):
            place.resolver.resolve(["fast"], target)


def test_a_version_with_wheels_is_better_than_a_newer_one_without(place: Place) -> None:
    wheel(place.folder, "fast", "1.0", _AMD)
    sdist(place.folder, "fast", "2.0")
    assert set(_names(replace(place, machine=DEBIAN).resolver.resolve(["fast"], DEBIAN))) == {"fast==1.0"}


@pytest.mark.thorough
def test_a_source_distribution_is_taken_where_this_machine_can_build_it(place: Place) -> None:
    source, pure = sdist(place.folder, "old", "1.0"), wheel(place.folder, "pure", "1.0")
    found = replace(place, machine=DEBIAN).resolver.resolve(["old", "pure"], DEBIAN)
    assert [(one.wheel, one.sdist) for one in found] == [(None, source), (pure, None)]
    for target, machine in ((DEBIAN_ARM, DEBIAN), (DEBIAN, DEBIAN_ARM), (DEBIAN, ALPINE), (DEBIAN, None)):
        with pytest.raises(Refused, match=rf"^no wheel of old.* for {target}; at most its source is there"):
            replace(place, machine=machine).resolver.resolve(["old", "pure"], target)


@pytest.mark.thorough
def test_nothing_is_compiled_for_a_libc_that_is_older_than_this_machines(place: Place) -> None:
    wheel(place.folder, "fast", "1.0", _AMD)
    sdist(place.folder, "fast", "1.0")
    older = replace(DEBIAN, python=replace(DEBIAN.python, libc_version="2.17"))
    assert replace(place, machine=older).resolver.resolve(["fast"], older)[0].sdist
    with pytest.raises(Refused, match=r"^no wheel of fast.* glibc 2\.17; there are wheels for .*manylinux_2_28"):
        replace(place, machine=DEBIAN).resolver.resolve(["fast"], older)


def test_requirements_that_cannot_be_met_say_why(place: Place) -> None:
    wheel(place.folder, "one", "1.0")
    wheel(place.folder, "two", "1.0", requires=["one>=2"])
    with pytest.raises(NotFound, match=r"^requirement nowhere cannot be found"):
        place.resolver.resolve(["nowhere"], DEBIAN)
    with pytest.raises(UserError, match=r"^the requirements cannot be met together|^requirement one.* cannot be found"):
        place.resolver.resolve(["two", "one"], DEBIAN)


def test_the_hashes_of_a_line_are_kept(place: Place) -> None:
    there = wheel(place.folder, "one", "1.0")
    assert place.resolver.resolve([f"one==1.0 --hash=sha256:{there.sha256}"], DEBIAN)[0].wheel == there
    with pytest.raises(Refused, match="none of the 1 files"):
        place.resolver.resolve([f"one==1.0 --hash=sha256:{'0' * 64}"], DEBIAN)


@pytest.mark.slow
def test_nothing_of_the_environment_leaks_in(place: Place, tmp_path: Path) -> None:
    wheel(place.folder, "one", "1.0")
    (tmp_path / "uv.toml").write_text("nonsense = [")
    environ = {
        **place.environ,
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_PYTHON": "2.7",
        "UV_LINK_MODE": "symlink",
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "VIRTUAL_ENV": str(tmp_path),
    }
    (tmp_path / "encodings.py").write_text("raise SystemExit('leaked')")
    dirty = replace(place, environ=environ)
    found = dirty.resolver.resolve(["one"], DEBIAN)
    assert not (dirty.installed(found) / "one.py").is_symlink()


def _uv(folder: Path, script: str) -> Path:
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\necho . >> {folder}/calls\n{script}\n")
    path.chmod(0o700)
    return path


def test_a_killed_uv_is_started_again_but_not_for_ever(place: Place, tmp_path: Path) -> None:
    killed = replace(place, uv=_uv(tmp_path, "kill -9 $$"))
    with pytest.raises(DependencyFailed, match=r"exit code -9"):
        killed.resolver.resolve(["one"], DEBIAN)
    assert (tmp_path / "calls").read_text().count(".") == 3
    assert [*place.scratch.iterdir()] == []


def test_what_uv_says_is_free_of_passwords(place: Place, tmp_path: Path) -> None:
    loud = replace(
        place,
        uv=_uv(tmp_path, 'echo "error: $UV_DEFAULT_INDEX $UV_DEFAULT_INDEX" >&2; exit 2'),
        configuration=replace(place.configuration, no_index=False, index_url="https://me:pa55@x.org/simple"),
    )
    with pytest.raises(DependencyFailed) as caught:
        loud.resolver.resolve(["one"], DEBIAN)
    assert "x.org/simple" in str(caught.value)
    assert "pa55" not in str(caught.value)


def test_no_uv_says_what_to_do(place: Place, tmp_path: Path) -> None:
    with pytest.raises(DependencyFailed, match="uv cannot be started"):
        replace(place, uv=tmp_path / "none").resolver.resolve(["one"], DEBIAN)
