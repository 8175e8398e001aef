"""The form of a lock: nothing is lost, other programs read it, and a damaged one says what is wrong."""

from __future__ import annotations

import string
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from shipway.errors import UserError
from shipway.image.lock import File, Lock, LockedBase, Package, Resolution, file_name
from shipway.image.platform import Platform, Python, Target
from shipway.oci import Digest
from tests.image.made_wheels import AMD64, ARM64, DEBIAN, DEBIAN_ARM

GOLDEN = Path(__file__).with_name("pylock.digits.toml")

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_hex = st.text("0123456789abcdef", min_size=64, max_size=64)
_names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=8).map(lambda one: one.strip("-"))
_packages = st.builds(
    lambda name, version, sha256, size, url, kind: _package(name or "x", version, sha256, size, url, kind),
    _names.map(canonicalize_name),
    st.sampled_from(["1.0", "2.13.0+cpu", "1!2.0rc1", "2026.9.0"]),
    _hex,
    st.integers(0, 1 << 40),
    st.sampled_from(["", "https://x.org/a/", "file:///opt/"]),
    st.sampled_from(["wheel", "sdist", "direct"]),
)


def _package(name: str, version: str, sha256: str, size: int, url: str, kind: str) -> Package:
    if kind == "sdist":
        source = f"{name}-{version}.tar.gz"
        return Package(name, version, None, File(source, sha256, size, url and url + source))
    wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    if kind == "direct":
        return Package(name, version, File(wheel, sha256, size, f"https://x.org/{wheel}"), direct=True)
    return Package(name, version, File(wheel, sha256, size, url and url + wheel))


def _resolutions(platform: Platform) -> st.SearchStrategy[Resolution]:
    pythons = st.builds(Python, st.sampled_from(["3.11.2", "3.12.0"]), _text, st.sampled_from(["glibc", "musl"]), _text)
    packages = st.lists(_packages, max_size=4, unique_by=lambda one: one.name)
    return st.builds(
        Resolution,
        st.builds(Target, st.just(platform), pythons),
        st.lists(_text, max_size=3).map(tuple),
        st.builds(LockedBase, _text, _hex.map(lambda one: Digest(f"sha256:{one}"))),
        packages.map(lambda found: tuple(sorted(found, key=lambda one: one.name))),
    )


_LOCKS = st.one_of(
    st.just(Lock({})),
    _resolutions(AMD64).map(lambda one: Lock({AMD64: one})),
    st.tuples(_resolutions(AMD64), _resolutions(ARM64)).map(
        lambda both: Lock(dict(zip((AMD64, ARM64), both, strict=True)))
    ),
)


@given(_LOCKS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    text = lock.to_text()
    assert Lock.read(text) == lock
    assert Lock(dict(reversed([*lock.resolutions.items()]))).to_text() == text


def _digits() -> Lock:
    """Two platforms: a wheel for both, one for each, a source, an address, and one that only arm64 has."""

    def file(name: str, digit: str, size: int = 0, query: str = "") -> File:
        return File(name, digit * 64, size, f"https://p.org/{name}{query}")

    both = Package("joblib", "1.5.3", file("joblib-1.5.3-py3-none-any.whl", "a", 5))
    wheels = {
        one: Package("numpy", "2.4.6", file(f"numpy-2.4.6-cp311-cp311-manylinux_2_28_{one.machine}.whl", digit))
        for one, digit in ((AMD64, "b"), (ARM64, "c"))
    }
    torch = "torch-2.13.0+cpu-py3-none-any.whl"
    local = Package("torch", "2.13.0+cpu", File(torch, "d" * 64, 7, f"file:///w/{torch.replace('+', '%2B')}"))
    source = Package("old", "1.0", None, file("old-1.0.tar.gz", "e", 9))
    direct = Package("mine", "1.0", file("mine-1.0-py3-none-any.whl", "f", query="?v=2"), direct=True)
    bases = {
        one: LockedBase("debian:bookworm", Digest(f"sha256:{digit * 64}"))
        for one, digit in ((AMD64, "1"), (ARM64, "2"))
    }
    asked = ("scikit-learn==1.9.1", 'x; python_version < "3"')
    return Lock(
        {
            AMD64: Resolution(DEBIAN, asked, bases[AMD64], (both, direct, wheels[AMD64], source)),
            ARM64: Resolution(DEBIAN_ARM, asked, bases[ARM64], (both, direct, wheels[ARM64], source, local)),
        }
    )


def test_the_text_is_the_one_that_users_have_committed() -> None:
    assert _digits().to_text() == GOLDEN.read_text("utf-8")
    assert Lock.read(GOLDEN.read_text("utf-8")) == _digits()


def test_the_reference_implementation_takes_it_and_finds_one_file_for_each_package() -> None:
    pylock = pytest.importorskip("packaging.pylock")
    found = pylock.Pylock.from_dict(tomllib.loads(_digits().to_text()))
    found.validate()
    for platform, resolution in _digits().resolutions.items():
        here = {"platform_machine": platform.machine, "sys_platform": "linux", "python_version": "3.11"}
        names = [one.name for one in found.packages if one.marker is None or one.marker.evaluate(here)]
        assert names == [one.name for one in resolution.packages]


def test_the_name_of_the_file_has_no_dot_inside() -> None:
    assert file_name("digits") == "pylock.digits.toml"
    assert file_name("my.flask app") == "pylock.my-flask-app.toml"
    assert pytest.importorskip("packaging.pylock").is_valid_pylock_path(Path(file_name("a.b")))


_ENTRY = '[[packages]]\nname = "{name}"\nversion = "{version}"\n{file}\n[tool.shipway]\nversion = 1\n'
_WHEEL = 'wheels = [{ name = "a-1.0-py3-none-any.whl", hashes = { sha256 = "' + "a" * 64 + '" } }]'
_DAMAGED = [
    ("", "another program"),
    ("[[", "end of document"),
    ("[tool.shipway]\nversion = 7\n", "version 7"),
    ("[tool.shipway]\nversion = 1\n", "no 'packages'"),
    ("tool = 3\n", "not iterable"),
    (_ENTRY.format(name="A.b", version="1.0", file=_WHEEL), r"'A\.b' is not how the name"),
    (_ENTRY.format(name=r"a\n--index-url", version="1.0", file=_WHEEL), "not how the name"),
    (_ENTRY.format(name="a", version=r"1.0\n-e .", file=_WHEEL), "nvalid version"),
    (_ENTRY.format(name="a", version=r"1.0\n", file=_WHEEL), "not how a version"),
    (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("aaaa", "AAAA")), "is no sha256"),
    (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("hashes", "url = 'ftp://x/a', hashes")), "no address"),
    *(
        (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("hashes", f"url = '{url}', hashes")), "no address")
        for url in (
            "https://evil.org/${TOKEN}/a.whl",
            "https://me:pa55@x.org/a.whl",
            "file://host",
            "https://x.org/a b",
        )
    ),
    (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("a-1.0", "evil-1.0")), "no wheel of a 1.0"),
    (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("a-1.0", "a-1.1")), "no wheel of a 1.0"),
    (
        _ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("a-1.0-py3-none-any.whl", "a.tar.gz")),
        "wheel filename",
    ),
    (
        _ENTRY.format(
            name="a", version="1.0", file=_WHEEL.replace("wheels = [", "sdist = ")[:-1].replace("a-1", r"\t")
        ),
        "no name of a file",
    ),
    ("packages = " + "[" * 20_000, "recursion|nested|deep"),
    (_ENTRY.format(name="a", version="1.0", file=_WHEEL.replace("hashes", "size = -1, hashes")), "-1 is no size"),
    (_ENTRY.format(name="a", version="1.0", file="wheels = []"), "0 wheels"),
    (_ENTRY.format(name="a", version="1.0", file=""), "no 'wheels'"),
    (_ENTRY.format(name="a", version="1.0", file="sdist = 3"), "'int' object"),
    (
        _ENTRY.format(
            name="a", version="1.0", file="archive = { url = 'file:///x', hashes = { sha256 = '" + "a" * 64 + "' } }"
        ),
        "not an address of the web",
    ),
    (_ENTRY.format(name="a", version="1.0", file="marker = 'x ='\n" + _WHEEL), "Expected a marker"),
]


@pytest.mark.parametrize("text, why", _DAMAGED)
def test_a_damaged_lock_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(UserError, match=f"^the lock cannot be read: (?s:.*){why}"):
        Lock.read(text)


@pytest.mark.parametrize(
    "old, new, why",
    [
        ('libc = "glibc"', 'libc = "bionic"', "no libc"),
        ('base-digest = "sha256:', 'base-digest = "sha1:', "is not a digest"),
        ('linux/amd64"', 'linux/riscv"', "not a platform"),
        ("asked = [", "asked = [\n    3,", "not a list of lines"),
        ('python = "3.11.2"', "python = 3", "not a text"),
        ("marker = \"platform_machine == 'x86_64'\"\n", "", "numpy stands in it twice for linux/arm64"),
    ],
)
def test_a_lock_in_which_somebody_wrote_says_what_is_wrong(old: str, new: str, why: str) -> None:
    text = GOLDEN.read_text("utf-8")
    assert old in text
    with pytest.raises(UserError, match=why):
        Lock.read(text.replace(old, new, 1))


_ASKED = ("flask", "orjson>=3.10")
_BASE = LockedBase("debian:bookworm", Digest("sha256:" + "1" * 64))
_NOW = Resolution(DEBIAN, _ASKED, _BASE, ())


@pytest.mark.parametrize(
    "asked, target, base, why",
    [
        (_ASKED, DEBIAN, _BASE, ""),
        (("orjson>=3.10", " flask "), DEBIAN, _BASE, ""),
        (("flask>=3", "orjson>=3.10"), DEBIAN, _BASE, "the requirements changed (+ flask>=3, - flask)"),
        (
            ("flask", "uvloop", "orjson>=3.11"),
            DEBIAN,
            _BASE,
            "the requirements changed (+ uvloop); those of Shipway's runtime changed (+ orjson>=3.11, - orjson>=3.10)",
        ),
        (
            _ASKED,
            DEBIAN,
            replace(_BASE, name="python:3.11"),
            "it was made for the base debian:bookworm, not for python:3.11",
        ),
        (
            _ASKED,
            DEBIAN,
            replace(_BASE, digest=Digest("sha256:" + "2" * 64)),
            "the base debian:bookworm was sha256:111111111111 and is now sha256:222222222222",
        ),
        (
            _ASKED,
            replace(DEBIAN, python=replace(DEBIAN.python, version="3.11.9", libc_version="2.41")),
            _BASE,
            "the base had Python 3.11.2 (/usr/bin/python3.11), glibc 2.36 and has Python 3.11.9 (/usr/bin/python3.11), "
            "glibc 2.41",
        ),
        (
            _ASKED,
            replace(DEBIAN, python=replace(DEBIAN.python, executable="/tmp/python")),
            _BASE,
            "the base had Python 3.11.2 (/usr/bin/python3.11), glibc 2.36 and has Python 3.11.2 (/tmp/python), "
            "glibc 2.36",
        ),
        (_ASKED, DEBIAN_ARM, _BASE, "it was made for linux/amd64, not for linux/arm64"),
    ],
)
def test_a_stale_resolution_says_why(asked: tuple[str, ...], target: Target, base: LockedBase, why: str) -> None:
    assert _NOW.fits(asked, target, base, runtime=("orjson>=3.11",)) == why
