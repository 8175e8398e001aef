"""Which wheels a base can run, and what uv is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipway.errors import Refused
from shipway.image.lock.tags import rank, uv_platform
from shipway.image.platform import Target
from tests.image.made_wheels import ALPINE, DEBIAN, DEBIAN_ARM


def _libc(target: Target, version: str) -> Target:
    return replace(target, python=replace(target.python, libc_version=version))


@pytest.mark.parametrize(
    "target, name",
    [
        (DEBIAN, "x86_64-manylinux_2_36"),
        (DEBIAN_ARM, "aarch64-manylinux_2_36"),
        (_libc(DEBIAN, "2.17"), "x86_64-manylinux_2_17"),
        (_libc(DEBIAN, "2.30"), "x86_64-manylinux_2_28"),
        (_libc(DEBIAN, "2.41"), "x86_64-manylinux_2_40"),
        (ALPINE, "x86_64-unknown-linux-musl"),
        (replace(ALPINE, platform=DEBIAN_ARM.platform), "aarch64-unknown-linux-musl"),
    ],
)
def test_uv_is_told_the_libc_or_the_next_older_one_that_it_knows(target: Target, name: str) -> None:
    assert uv_platform(target) == name


@pytest.mark.parametrize(
    "target, why",
    [
        (_libc(DEBIAN, "2.12"), "glibc 2.17 or newer"),
        (_libc(ALPINE, "1.1.24"), "musl 1.2 or newer"),
        (_libc(DEBIAN, "unknown"), "not a version"),
    ],
)
def test_a_libc_without_wheels_is_refused(target: Target, why: str) -> None:
    with pytest.raises(Refused) as caught:
        uv_platform(target)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "wheel, fits",
    [
        ("a-1-py3-none-any.whl", (True, True, True)),
        ("a-1-py2.py3-none-any.whl", (True, True, True)),
        ("a-1-cp311-cp311-manylinux_2_36_x86_64.whl", (True, False, False)),
        ("a-1-cp311-cp311-manylinux_2_37_x86_64.whl", (False, False, False)),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", (True, False, False)),
        ("a-1-cp311-cp311-manylinux1_x86_64.whl", (True, False, False)),
        ("a-1-cp39-abi3-manylinux_2_28_aarch64.whl", (False, True, False)),
        ("a-1-cp312-abi3-manylinux_2_28_aarch64.whl", (False, False, False)),
        ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", (False, False, False)),
        ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", (False, False, True)),
        ("a-1-cp311-cp311-musllinux_1_3_x86_64.whl", (False, False, False)),
        ("a-1-cp311-none-linux_x86_64.whl", (True, False, True)),
        ("a-1-py3-none-macosx_11_0_arm64.whl", (False, False, False)),
        ("not a wheel", (False, False, False)),
    ],
)
def test_a_wheel_fits_or_does_not(wheel: str, fits: tuple[bool, bool, bool]) -> None:
    assert tuple(rank(wheel, one) is not None for one in (DEBIAN, DEBIAN_ARM, ALPINE)) == fits


def test_what_was_made_for_the_target_is_better_than_what_runs_anywhere() -> None:
    wheels = [
        "a-1-cp311-cp311-manylinux_2_34_x86_64.whl",
        "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
        "a-1-cp38-abi3-manylinux_2_28_x86_64.whl",
        "a-1-py3-none-any.whl",
    ]
    ranks = [rank(one, DEBIAN) for one in wheels]
    assert ranks == sorted(ranks, key=lambda one: one or 0)
    assert None not in ranks
