"""Bases as other people's programs write them: skopeo, docker-registry, podman, umoci; and a Debian that is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.image.platform import Platform
from shipway.image.view import View
from shipway.oci import Layout
from tests.image.bases.conftest import Asking
from tests.image.made_base import Files, Made, base_files, image, index
from tests.realtools.podman import Podman
from tests.realtools.sandbox import missing, sandbox
from tests.testing.docker_registry import docker_registry

pytestmark = [pytest.mark.realtool, pytest.mark.slow]

AMD, ARM = Platform("amd64"), Platform("arm64")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def run(*words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def skopeo(source: str, target: str, *options: str) -> None:
    run("skopeo", "--insecure-policy", "copy", "--quiet", *options, source, target)


@pytest.fixture
def both(theirs: Layout) -> Layout:
    """An index of two platforms, each of two layers with a whiteout, under the tag "1"."""
    more: Files = {
        "etc/.wh.os-release": "",
        "opt/link": Made(link="/etc/passwd"),
        "opt/hard": "x",
        "opt/h2": Made(hard="opt/hard"),
    }
    index(theirs, {one: image(theirs, one, base_files(one), more) for one in (AMD, ARM)}, "1")
    return theirs


@needs("skopeo")
@pytest.mark.parametrize("options", [(), ("--format=v2s2",), ("--dest-compress-format=zstd",)], ids=str)
def test_layouts_of_skopeo(asking: Asking, both: Layout, tmp_path: Path, options: tuple[str, ...]) -> None:
    skopeo(f"oci:{both.root}:1", f"oci:{tmp_path}/copied:tag", *options)
    base = asking.get(f"oci:{tmp_path}/copied:tag")
    known = asking.get(f"oci:{both.root}:1")
    assert (base.python, base.top, base.passwd) == (known.python, known.top, known.passwd)
    assert "opt" in base.top


@needs("skopeo")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archives_of_skopeo(asking: Asking, both: Layout, tmp_path: Path, kind: str) -> None:
    skopeo(f"oci:{both.root}:1", f"{kind}:{tmp_path}/base.tar:localhost/base:1")
    base = asking.get(f"tar:{tmp_path}/base.tar")
    known = asking.get(f"oci:{both.root}:1")
    assert base.config["rootfs"] == known.config["rootfs"]
    assert replace(base, name="", manifest=known.manifest, config={}, layers=()) == replace(
        known, name="", config={}, layers=()
    )


@needs("skopeo")
@needs("docker-registry")
@pytest.mark.parametrize("platform", [AMD, ARM])
def test_docker_registry(asking: Asking, both: Layout, tmp_path: Path, platform: Platform) -> None:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as registry:
        skopeo(f"oci:{both.root}:1", f"docker://{registry.host}/team/base:1", "--all", "--dest-tls-verify=false")
        base = asking.get(f"{registry.host}/team/base:1", platform.architecture)
    known = asking.get(f"oci:{both.root}:1", platform.architecture)
    assert replace(base, name=known.name) == known
    assert asking.get(base.name, platform.architecture, base.manifest.digest) == base, "nobody listens any more"


@pytest.fixture
def podman() -> Iterator[Podman]:
    if reason := missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="shipway-test-", dir="/var/tmp"))  # not memory: overlays stand on a disk
    try:
        with sandbox(folder / "sandbox") as made:
            yield Podman(made)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_what_podman_saves(asking: Asking, both: Layout, tmp_path: Path, podman: Podman) -> None:
    known = asking.get(f"oci:{both.root}:1")
    podman.load(both.root, "1")
    for kind in ("docker-archive", "oci-archive"):
        podman.sandbox.run("podman", "save", "--format", kind, "-o", tmp_path / f"{kind}.tar", "localhost/1")
        base = asking.get(f"tar:{tmp_path}/{kind}.tar")
        assert base.config["rootfs"] == known.config["rootfs"]
        assert (base.python, base.top, base.passwd, base.group) == (known.python, known.top, known.passwd, known.group)


@needs("mmdebstrap")
@needs("umoci")
@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_a_debian_of_this_machine(asking: Asking, tmp_path: Path, podman: Podman) -> None:
    asking.inherited = dict(os.environ)
    architecture = Platform.of_machine(os.uname().machine).architecture
    base = asking.get("debian:bookworm", architecture)
    assert base.python.version.startswith("3.11.") and base.python.libc_version == "2.36"
    assert sum(one.size for one in base.layers) < 30_000_000

    again = Asking(tmp_path / "another", Layout(tmp_path / "another" / "oci"), asking.inherited)
    before = os.umask(0o077)
    try:
        assert again.get("debian:bookworm", architecture).manifest == base.manifest, "equal packages, equal bytes"
    finally:
        os.umask(before)

    asking.layout.tag(base.manifest, "made")
    run("umoci", "unpack", "--image", f"{asking.layout.root}:made", tmp_path / "bundle")
    rootfs = tmp_path / "bundle" / "rootfs"
    assert sorted(View(asking.layout, base.layers).paths()) == sorted(
        path.relative_to(rootfs).as_posix() for path in rootfs.rglob("*")
    )
    assert not [path for path in rootfs.rglob("*") if path.is_symlink() and path.lstat().st_mode & 0o6000]

    podman.load(asking.layout.root, "made")
    done = podman.once(
        "localhost/made", base.python.executable, "-c", IMPORTS, options=("--read-only", "--user=10001", "--tmpfs=/tmp")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Europe/Berlin 127.0.0.1 __pycache__ root True\n"


IMPORTS = """
import asyncio, bz2, ctypes, decimal, hashlib, lzma, pathlib, pwd, socket, sqlite3, ssl, uuid, zlib, zoneinfo
print(zoneinfo.ZoneInfo("Europe/Berlin"), socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0],
      pathlib.Path(asyncio.__cached__).parent.name, pwd.getpwuid(0).pw_name,
      ssl.create_default_context().cert_store_stats()["x509_ca"] > 100)
for name in ("libstdc++.so.6", "libgomp.so.1", "libgcc_s.so.1", "libz.so.1"):
    ctypes.CDLL(name)  # what manylinux wheels (PEP 600) find in every image
"""
