"""What uv 0.13 says, and what a user is told. The texts were said by it."""

from __future__ import annotations

import pytest

from shipway.errors import Corrupt, DependencyFailed, EnvironmentFault, NotFound, Refused, ShipwayError, UserError
from shipway.image.lock.resolution import File, Package
from shipway.image.lock.words import missing_wheel, not_chosen, not_installed, replaced
from tests.image.made_wheels import DEBIAN, DEBIAN_ARM

_NONE = """error: No solution found when resolving dependencies
  cause: Because no-such-thing-xyz was not found in the package registry and you require no-such-thing-xyz, we can \
conclude that your requirements are unsatisfiable.
"""
_VERSION = """error: No solution found when resolving dependencies
  cause: Because there is no version of flask==9.9 and you require flask==9.9, we can conclude that your requirements \
are unsatisfiable.
"""
_CONFLICT = """error: No solution found when resolving dependencies
  cause: Because flask>=3.1.3 depends on werkzeug>=3.1.0 and you require flask==3.1.3, we can conclude that you \
require werkzeug>=3.1.0.
         And because you require werkzeug<2, we can conclude that your requirements are unsatisfiable.
"""
_SOURCE = """error: No solution found when resolving dependencies
  cause: Because all versions of uwsgi have no usable wheels and you require uwsgi, we can conclude that your \
requirements are unsatisfiable.

hint: Wheels are required for `uwsgi` because building from source is disabled for all packages \
(i.e., with `--no-build`)
"""
_PLATFORM = """error: No solution found when resolving dependencies
  cause: Because torch==2.13.0+cpu has no wheels with a matching platform tag (e.g., `manylinux_2_36_aarch64`) and you \
require torch==2.13.0+cpu, we can conclude that your requirements are unsatisfiable.

hint: Wheels are available for `torch` (v2.13.0+cpu) on the following platform: `manylinux_2_28_x86_64`
"""
_PYTHON = """error: No solution found when resolving dependencies
  cause: Because bar==3.0 has no wheels with a matching Python implementation tag (e.g., `cp311`) and only bar==3.0 is \
available, we can conclude that all versions of bar cannot be used.
         And because you require bar, we can conclude that your requirements are unsatisfiable.

hint: You require CPython 3.11 (`cp311`), but we only found wheels for `bar` (v3.0) with the following Python \
implementation tag: `cp312`
"""
_MISMATCH = f"""Using CPython 3.11.7 interpreter at: /usr/bin/python3
Resolved 1 package in 56ms
error: Failed to download `flask==3.1.3`
  cause: Hash mismatch for `flask==3.1.3`

         Expected:
           sha256:{"0" * 64}

         Computed:
           sha256:{"f" * 64}
"""
_DNS = """error: Failed to fetch: https://nope.invalid/simple/flask/
  cause: error sending request for url (https://nope.invalid/simple/flask/)
  cause: client error (Connect)
  cause: dns error
"""
_DISK = """error: Failed to install: scikit_learn-1.9.1-cp311.whl (scikit-learn==1.9.1)
  cause: Failed to copy to `small/t/sklearn/x.so`
  cause: failed to copy file from /c/x.so to /t/.tmpsZYxQQ: No space left on device (os error 28)
"""


@pytest.mark.parametrize(
    "words, kind, told",
    [
        (_NONE, NotFound, "requirement no-such-thing-xyz cannot be found\n"),
        (_VERSION, NotFound, "requirement flask==9.9 cannot be found\n"),
        (
            _CONFLICT,
            UserError,
            "the requirements cannot be met together on linux/arm64, Python 3.11, glibc 2.36\nBecause flask>=3.1.3 "
            "depends on werkzeug>=3.1.0",
        ),
        (
            _SOURCE,
            Refused,
            "no wheel of uwsgi for linux/arm64, Python 3.11, glibc 2.36; at most its source is there",
        ),
        (
            _PLATFORM,
            Refused,
            "no wheel of torch==2.13.0+cpu for linux/arm64, Python 3.11, glibc 2.36; there are wheels for "
            "manylinux_2_28_x86_64",
        ),
        (_PYTHON, Refused, "no wheel of bar==3.0 for linux/arm64, Python 3.11, glibc 2.36; there are wheels for cp312"),
        (_DNS, DependencyFailed, "an index of packages cannot be reached\nerror sending request"),
        (_DISK, EnvironmentFault, "the disk is full: Failed to copy to"),
        ("error: it broke", DependencyFailed, "uv could not install the requirements (exit code 2)\nerror: it broke"),
    ],
)
def test_why_nothing_was_chosen(words: str, kind: type[ShipwayError], told: str) -> None:
    error = not_chosen(words, 2, DEBIAN_ARM)
    assert type(error) is kind
    assert error.message.startswith(told)
    assert error.next_step
    assert len(error.message.splitlines()) < 12


def test_what_has_no_wheel_that_fits_is_named() -> None:
    assert [missing_wheel(one) for one in (_SOURCE, _PLATFORM, _PYTHON)] == ["uwsgi", "torch==2.13.0+cpu", "bar==3.0"]
    assert [missing_wheel(one) for one in (_NONE, _VERSION, _CONFLICT, _DNS, _DISK)] == [""] * 5


@pytest.mark.parametrize(
    "wheels, there",
    [
        (["uwsgi-1-cp311-cp311-manylinux_2_28_x86_64.whl", "uwsgi-1-cp311-cp311-win32.whl"], "manylinux_2_28_x86_64"),
        (["uwsgi-1-cp311-cp311-win32.whl", "uwsgi-1-cp312-cp312-manylinux_2_17_aarch64.whl"], "win32"),
        (["uwsgi-1-cp312-cp312-win32.whl", "uwsgi-1-cp313-cp313-win32.whl"], "cp312, cp313"),
    ],
)
def test_where_uv_does_not_say_which_wheels_there_are_their_names_do(wheels: list[str], there: str) -> None:
    assert not_chosen(_SOURCE, 1, DEBIAN_ARM, wheels).message.endswith(f"; there are wheels for {there}")


def test_a_file_that_is_not_the_locked_one_is_named_with_both_hashes() -> None:
    flask = Package("flask", "3.1.3", File("flask-3.1.3-py3-none-any.whl", "0" * 64))
    error = not_installed(_MISMATCH, 1, [flask], DEBIAN)
    assert isinstance(error, Corrupt)
    assert error.message.splitlines() == [
        "flask-3.1.3-py3-none-any.whl is not the file that is locked",
        f"expected sha256:{'0' * 64}",
        f"got      sha256:{'f' * 64}",
    ]
    assert "--upgrade" in error.next_step
    assert (replaced(_MISMATCH), replaced(_VERSION)) == ("flask", "")


def test_a_locked_version_that_is_gone_is_named() -> None:
    error = not_installed(_VERSION, 1, [], DEBIAN)
    assert isinstance(error, NotFound)
    assert error.message.startswith("flask==9.9 is locked, and no index has it for linux/amd64")


def test_a_long_reason_is_cut() -> None:
    words = _CONFLICT + "         And because of this.\n" * 30
    assert len(not_chosen(words, 1, DEBIAN).message.splitlines()) == 10
