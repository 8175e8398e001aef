"""What the tests of bases share: a layout, and a way to ask for bases."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shipway.image.bases import Base, Bases
from shipway.image.platform import Platform
from shipway.oci import Digest, Layout
from shipway.oci.registry import Anonymous, Registry
from shipway.transfer import Progress
from tests.oci.registry.faulty import HASTY


@dataclass(slots=True)
class Asking:
    """A home whose bases are asked for, and what was told meanwhile."""

    home: Path
    layout: Layout
    inherited: Mapping[str, str] = field(default_factory=dict)
    told: list[Progress] = field(default_factory=list)

    def get(self, name: str, architecture: str = "amd64", digest: Digest | None = None) -> Base:
        bases = Bases(self.layout, lambda: Registry(Anonymous(), pace=HASTY), self.home / "cache", self.inherited)
        with self.layout.lease("a test") as lease:
            wanted = bases.get(name, Platform(architecture), lease, self.told.append, digest=digest)
            return asyncio.run(wanted)


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path / "home", Layout(tmp_path / "home" / "oci"))


@pytest.fixture
def theirs(tmp_path: Path) -> Layout:
    """Somebody else's layout, to take bases from."""
    return Layout(tmp_path / "theirs")


@pytest.fixture(scope="package", autouse=True)
def _no_certificates() -> Iterator[None]:
    """Reading the machine's hundreds of certificates would take longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield
