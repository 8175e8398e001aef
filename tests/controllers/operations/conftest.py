"""Transfers over a real layout, a fake store and journal, and registries of the test's own process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers import Recorder
from shipway.controllers.operations.parts import Parts
from shipway.controllers.operations.transfers import Transfers
from shipway.controllers.updates import find
from shipway.kinds import Model
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from shipway.oci.cipher import PLAIN, Cipher
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.testing.store import FakeStore
from shipway.transfer import Progress


@dataclass
class Home:
    """One home: what the hub has of it, and what was reported."""

    folder: Path
    cipher: Cipher = PLAIN
    clock: FakeClock = field(default_factory=FakeClock)
    journal: FakeJournal = field(default_factory=FakeJournal)
    reports: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = FakeStore(self.clock.now)
        self.layout = Layout(self.folder / "oci", self.cipher)
        self.versions = Versions(self.layout, self.clock)
        self.recorder = Recorder(self.journal, self.clock)
        self.parts = Parts(self.store, self.layout, self.versions, self.recorder, self.clock, _registry)
        self.transfers = Transfers(self.parts)

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)

    def notes(self) -> list[str]:
        """What was said of parts that are over, but for plain ends."""
        return [one.note for one in self.reports if one.over and one.note]

    async def trained(self, name: str = "digits", /, **files: bytes) -> int:
        """A version as a job makes one; its number. ``model_onnx=b".."`` is the file model.onnx."""
        folder = self.files(f"run-{len(self.versions.numbers(name)) + 1}", **files)
        version = self.versions.pack(name, folder, Lineage(run=f"{name}-{len(files)}-{folder.name}", fingerprint="f"))
        await self.parts.show(name, "trained", "a job")
        return version.number

    def files(self, folder: str, /, **files: bytes) -> Path:
        """A folder with these files."""
        made = self.folder / folder
        made.mkdir(parents=True, exist_ok=True)
        for key, content in files.items():
            stem, _, suffix = key.rpartition("_")
            (made / f"{stem}.{suffix}").write_bytes(content)
        return made

    def model(self, name: str = "digits") -> Model:
        found = find(self.store, Model, name)
        assert found is not None
        return found

    def ledger(self, name: str = "digits", kind: str = "Model") -> list[tuple[str, Mapping[str, Any]]]:
        """Reason and data of each line."""
        return [(one.reason, one.data) for one in self.journal.entries(subject=f"{kind}/{name}", type="ledger")]


def _registry(plain_http: bool) -> Registry:
    return Registry(Anonymous(), plain_http=plain_http or None)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "one")


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another machine's."""
    return Home(tmp_path / "other")
