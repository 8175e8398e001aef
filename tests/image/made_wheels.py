"""Wheels, source distributions and a resolver for tests: uv itself, over folders that the test filled."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from uv import find_uv_bin

from shipway.image.lock import File, Package
from shipway.image.packages.install import Installer
from shipway.image.packages.resolve import Resolver
from shipway.image.platform import Platform, Python, Target
from shipway.packages.pip_configuration import PipConfiguration
from shipway.packages.pip_reader import PipReader

AMD64, ARM64 = Platform("amd64"), Platform("arm64")
DEBIAN = Target(AMD64, Python("3.11.2", "/usr/bin/python3.11", "glibc", "2.36"))
DEBIAN_ARM = replace(DEBIAN, platform=ARM64)
ALPINE = Target(AMD64, Python("3.11.9", "/usr/local/bin/python3.11", "musl", "1.2.5"))

# A build backend that needs nothing: its package's one module is what setup.txt says.
_BACKEND = """
import pathlib, zipfile
def build_wheel(folder, settings=None, metadata=None):
    tag = pathlib.Path("tag.txt").read_text()
    name = f"NAME-VERSION-{tag}.whl"
    info = "NAME-VERSION.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("NAME.py", "built = True\\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: VERSION\\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: {tag}\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


@dataclass(frozen=True)
class FixedPip(PipReader):
    """A pip whose configuration is known."""

    configuration: PipConfiguration

    def read(self) -> PipConfiguration:
        return self.configuration


@dataclass(frozen=True)
class Place:
    """A folder of wheels, and what resolves from it and installs."""

    folder: Path
    configuration: PipConfiguration
    environ: Mapping[str, str]
    uv: Path = Path(find_uv_bin())
    machine: Target | None = None

    @classmethod
    def at(cls, root: Path, cache: Path) -> Place:
        """``cache`` is uv's, best shared: it remembers what it asked of our Python."""
        folder = root / "wheels"
        for one in (folder, root / "scratch"):
            one.mkdir()
        environ = {"PATH": os.environ["PATH"], "HOME": str(root), "UV_CACHE_DIR": str(cache)}
        return cls(folder, PipConfiguration(no_index=True, find_links=(str(folder),)), environ)

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.uv, FixedPip(self.configuration), self.environ, self.scratch, self.machine)

    @property
    def installer(self) -> Installer:
        return Installer(self.uv, FixedPip(self.configuration), self.environ, self.scratch, self.machine)

    @property
    def scratch(self) -> Path:
        return self.folder.parent / "scratch"

    def installed(self, packages: Sequence[Package], target: Target = DEBIAN, name: str = "site") -> Path:
        """Installed there: the folder that is site-packages."""
        into = self.folder.parent / name
        self.installer.install(packages, target, into)
        return next(into.glob("lib*/python*/site-packages"))


def wheel(
    folder: Path,
    name: str,
    version: str,
    tag: str = "py3-none-any",
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> File:
    """A wheel with one module (``{name}.py``, which says the version) and ``files``; equal calls make equal bytes."""
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    contents = {
        f"{name}.py": f"version = {version!r}\n",
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in contents.items())
    path = folder / f"{name}-{version}-{tag}.whl"
    with ZipFile(path, "w") as file:
        for one, text in {**contents, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            file.writestr(ZipInfo(one), text)
    return file_at(path)


def sdist(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> File:
    """A source distribution whose build makes a wheel of that tag, and needs no network."""
    contents = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": _BACKEND.replace("NAME", name).replace("VERSION", version),
        "tag.txt": tag,
    }
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for one, text in contents.items():
            member = tarfile.TarInfo(f"{name}-{version}/{one}")
            member.size = len(text)
            file.addfile(member, io.BytesIO(text.encode()))
    return file_at(path)


def file_at(path: Path) -> File:
    data = path.read_bytes()
    return File(path.name, hashlib.sha256(data).hexdigest(), len(data), path.as_uri())


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
