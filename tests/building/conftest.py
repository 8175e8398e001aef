"""A home, a base for two platforms in a layout beside it, and ``shipway build`` in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shipway.building.asked import Asked
from shipway.building.build import Outcome, build
from shipway.building.place import Place
from shipway.image.platform import Platform
from shipway.oci import Layout
from shipway.settings import Settings
from shipway.transfer import Progress
from tests.image import made_base

AMD64, ARM64 = Platform("amd64"), Platform("arm64")

SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata:
  name: echo
spec:
  command: [python, -m, echo, --port, $(PORT)]
  port: 9000
"""


@dataclass(frozen=True, slots=True)
class Builds:
    """Builds in one home, on one made-up base."""

    root: Path
    where: Settings
    told: list[Progress]

    @property
    def layout(self) -> Layout:
        return Layout(self.where.oci)

    @property
    def base(self) -> str:
        return f"oci:{self.root / 'base'}:made-up"

    def project(self, name: str = "echo", **files: str) -> Path:
        """A folder with these files (``echo_py`` is echo.py), by default one service that needs no packages."""
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        (folder / "shipway.yaml").write_text(files.pop("shipway_yaml", SERVICE))
        for file, text in (files or {"echo_py": "print('hello')\n"}).items():
            (folder / file.replace("_", ".")).write_text(text)
        return folder

    def build(self, folder: Path, env: Mapping[str, str] = {}, **asked: Any) -> tuple[Outcome, ...]:
        asked.setdefault("base", self.base)
        inherited = {"PATH": "/usr/bin:/bin", "HOME": str(self.root), **env}
        return build(Asked(folder, **asked), Place(self.where), inherited, self.told.append)

    def one(self, folder: Path, **asked: Any) -> Outcome:
        [outcome] = self.build(folder, **asked)
        return outcome

    def config(self, outcome: Outcome, number: int = 0) -> Mapping[str, Any]:
        """The config of an image, as it stands in the layout."""
        manifest = self.layout.read_manifest(outcome.image.platforms[number].descriptor)
        document: Mapping[str, Any] = json.loads(self.layout.read_blob(manifest.config))
        return document


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    base = Layout(tmp_path / "base")
    images = {one: made_base.image(base, one, made_base.base_files(one)) for one in (AMD64, ARM64)}
    made_base.index(base, images, "made-up")
    return Builds(tmp_path, Settings(tmp_path / "home"), [])
