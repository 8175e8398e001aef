"""Indexes over HTTP, with a password; and the real one, with real packages."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shipway.errors import Corrupt, DependencyFailed, NotFound
from shipway.image.lock import File, Lock, LockedBase, Package, Resolution
from shipway.image.packages.install import Installer
from shipway.image.packages.resolve import Resolver
from shipway.image.packages.sizes import with_sizes
from shipway.image.platform import Platform
from shipway.oci import Digest
from shipway.packages.pip_configuration import PipConfiguration
from shipway.packages.pip_reader import PipReader
from tests.image.made_wheels import DEBIAN, DEBIAN_ARM, Place, wheel

_BASE = LockedBase("debian:bookworm", Digest("sha256:" + "1" * 64))


@dataclass
class _Index:
    """An index in HTML that wants a password, says hashes, and no sizes."""

    port: int
    methods: list[str] = field(default_factory=list)

    def address(self, credentials: str = "") -> str:
        return f"http://{credentials}127.0.0.1:{self.port}/simple"


@contextmanager
def _served(root: Path) -> Iterator[_Index]:
    index = _Index(0)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self._judged("GET", super().do_GET)

        def do_HEAD(self) -> None:
            self._judged("HEAD", super().do_HEAD)

        def _judged(self, method: str, answer: object) -> None:
            expected = f"Basic {base64.b64encode(b'me:pa55').decode()}"
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            index.methods.append(f"{method} {self.path}")
            assert callable(answer)
            answer()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as server:
        index.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()


def _page(root: Path) -> Package:
    folder = root / "simple" / "one"
    folder.mkdir(parents=True)
    made = wheel(folder, "one", "1.0")
    link = f'<a href="{made.name}#sha256={made.sha256}">{made.name}</a>'
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    return Package("one", "1.0", made)


@pytest.mark.slow
def test_an_index_with_a_password_says_all_but_the_password(place: Place, tmp_path: Path) -> None:
    made = _page(tmp_path / "index").file
    with _served(tmp_path / "index") as index:
        configuration = PipConfiguration(index_url=index.address("me:pa55@"))
        there = replace(place, configuration=configuration)
        found = there.resolver.resolve(["one"], DEBIAN)
        assert [one.file for one in found] == [replace(made, url=f"{index.address()}/one/{made.name}")]
        assert f"HEAD /simple/one/{made.name}" in index.methods
        text = Lock({DEBIAN.platform: Resolution(DEBIAN, ("one",), _BASE, found)}).to_text()
        assert "pa55" not in text
        assert (there.installed(Lock.read(text).resolutions[DEBIAN.platform].packages) / "one.py").is_file()

        strange = replace(
            there,
            configuration=PipConfiguration(index_url=index.address("me:wr0ng@")),
            environ={**place.environ, "UV_CACHE_DIR": str(tmp_path / "cache")},  # the other one has the page
        )
        with pytest.raises(NotFound, match="credentials") as caught:
            strange.resolver.resolve(["one"], DEBIAN)
        assert "wr0ng" not in str(caught.value)


def test_without_certificates_or_file_a_size_is_unknown(tmp_path: Path) -> None:
    """It decides which packages share a layer, and is no reason to fail."""
    unknown = Package("one", "1.0", File("one-1.0-py3-none-any.whl", "a" * 64, url=(tmp_path / "gone").as_uri()))
    for configuration in (PipConfiguration(), PipConfiguration(cert=str(tmp_path / "none.pem"))):
        assert with_sizes([unknown], configuration, {}) == (unknown,)


def test_an_index_that_is_gone_is_named(place: Place) -> None:
    gone = PipConfiguration(index_url="http://127.0.0.1:9/simple")
    there = replace(place, configuration=gone, environ={**place.environ, "UV_HTTP_RETRIES": "0"})
    with pytest.raises(DependencyFailed, match=r"(?s)^an index of packages cannot be reached.*127\.0\.0\.1:9"):
        there.resolver.resolve(["one"], DEBIAN)


def _real(tmp_path: Path) -> tuple[Resolver, Installer]:
    (tmp_path / "scratch").mkdir()
    uv, pip = Place.uv, PipReader(os.environ)
    return Resolver(uv, pip, os.environ, tmp_path / "scratch"), Installer(uv, pip, os.environ, tmp_path / "scratch")


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_real_lock_for_two_platforms_is_read_by_pip_and_by_uv(tmp_path: Path) -> None:
    resolver, installer = _real(tmp_path)
    asked = ("flask==3.1.3", "numpy>=2")
    first = resolver.resolve(asked, DEBIAN)
    second = resolver.resolve(asked, DEBIAN_ARM, first)
    assert [(one.name, one.version) for one in first] == [(one.name, one.version) for one in second]
    both = {DEBIAN.platform: Resolution(DEBIAN, asked, _BASE, first)}
    both[DEBIAN_ARM.platform] = Resolution(DEBIAN_ARM, asked, _BASE, second)
    lock = tmp_path / "pylock.toml"
    lock.write_text(Lock(both).to_text())
    assert dict(Lock.read(lock.read_text()).resolutions) == both
    assert all(one.file.size for one in (*first, *second))

    installer.install(second, DEBIAN_ARM, tmp_path / "site")
    libraries = [one.read_bytes()[18] for one in (tmp_path / "site").rglob("*.so")]
    assert set(libraries) == {183}  # ELF's word for aarch64

    python = ["--python-version", "3.11", "--python-platform", "aarch64-manylinux_2_36"]
    by_uv = [str(Place.uv), "pip", "install", "--no-config", "--target", str(tmp_path / "uv"), *python, "-r", str(lock)]
    by_pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-r", str(lock)]
    uv_environ = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    subprocess.run(by_uv, env=uv_environ, check=True, capture_output=True)
    names = {one.name for one in (tmp_path / "site").rglob("*.dist-info")}
    assert {one.name for one in (tmp_path / "uv").glob("*.dist-info")} == names
    if Platform.of_machine(os.uname().machine) == DEBIAN.platform and sys.version_info[:2] == (3, 11):
        said = subprocess.run(by_pip, check=True, capture_output=True, text=True).stdout
        assert "Would install" in said
        assert "flask-3.1.3" in said


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_real_wheel_that_was_replaced_is_not_installed(tmp_path: Path) -> None:
    resolver, installer = _real(tmp_path)
    [package] = resolver.resolve(["itsdangerous==2.2.0"], DEBIAN)
    assert package.wheel is not None
    forged = replace(package, wheel=replace(package.wheel, sha256="0" * 64))
    with pytest.raises(Corrupt, match=r"^itsdangerous-2\.2\.0-py3-none-any\.whl is not the file that is locked"):
        installer.install([forged], DEBIAN, tmp_path / "site")
