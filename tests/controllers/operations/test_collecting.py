"""What nothing needs is found, told, and deleted; what anything needs stays."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from shipway.controllers import Recorder
from shipway.controllers.operations.collecting import Collecting
from shipway.controllers.retention import SUBJECT
from shipway.errors import Corrupt
from shipway.image.remembered import Remembered
from shipway.kinds import ModelJob
from shipway.models import Lineage, Materials, Snapshots, Versions
from shipway.models.cached import Cached
from shipway.oci import Digest, Layout
from shipway.snapshot import collect, write_tar
from shipway.testing.clock import FakeClock
from shipway.testing.journal import FakeJournal
from shipway.testing.store import FakeStore
from shipway.transfer import silent


class Home:
    """The parts of a hub that the collection joins, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = FakeClock()
        self.store = FakeStore(self.clock.now)
        self.journal = FakeJournal()
        self.layout = Layout(root / "oci")
        self.versions = Versions(self.layout, self.clock)
        self.snapshots = Snapshots(self.layout)
        self.materials = Materials(self.layout, root / "cache")
        self.cached = Cached(root / "cache")
        self.remembered = Remembered(root / "cache")
        self.used: set[str] = set()
        recorder = Recorder(self.journal, self.clock)
        self.collecting = Collecting(
            self.store, self.layout, self.cached, self.remembered, lambda: self.used, recorder, self.clock
        )

    def collect(self, *, dry_run: bool = False) -> Mapping[str, Any]:
        return asyncio.run(self.collecting.collect(dry_run=dry_run, by="me", report=silent))

    def collected(self) -> dict[str, int]:
        """How many of what went, which is what was announced."""
        announced = self.collect(dry_run=True)
        went = self.collect()
        assert went["items"] == announced["items"]
        assert went["bytes"] == sum(one["bytes"] for one in went["items"])
        return {one["what"]: one["count"] for one in went["items"]}

    def files(self, text: str) -> Path:
        folder = self.root / "files"
        folder.mkdir(exist_ok=True)
        (folder / "weights.bin").write_text(text)
        return folder

    def version(self, text: str = "weights", **lineage: Any) -> Any:
        return self.versions.pack("digits", self.files(text), Lineage(origin="import", **lineage))

    def snapshot(self, text: str, *, hours_ago: float = 2.0) -> Digest:
        """A snapshot that somebody asked for so long ago."""
        out = io.BytesIO()
        digest = Digest(write_tar(collect(self.files(text), ["**"]), out))
        out.seek(0)
        self.snapshots.store(digest, out)
        then = self.clock.now().timestamp() - hours_ago * 3600
        os.utime(self.layout.blob_path(digest), (then, then))
        return digest


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_new_home_has_nothing_to_collect(home: Home) -> None:
    told = {"dryRun": True, "bytes": 0, "items": [], "keptForNow": []}
    assert home.collect(dry_run=True) == told
    assert home.collect() == {**told, "dryRun": False}
    assert home.journal.entries() == []


def test_a_deleted_models_blobs_go_and_the_journal_says_so(home: Home) -> None:
    home.version("weights")
    assert home.collected() == {}
    home.versions.remove("digits")
    assert list(home.collected()) == ["blobs"]
    assert home.layout.blobs.all() == []
    [entry] = home.journal.entries()
    assert (entry.type, entry.subject, entry.reason) == ("decision", SUBJECT, "Collected")
    assert entry.data["by"] == "me"
    assert entry.data["of"]["blobs"]["count"] > 0


def test_a_dry_run_changes_nothing(home: Home) -> None:
    home.version()
    digest = home.snapshot("x")
    home.versions.remove("digits")
    before = sorted(home.layout.blobs.all())
    assert home.collect(dry_run=True)["items"]
    assert sorted(home.layout.blobs.all()) == before
    assert home.snapshots.has(digest)


def test_a_snapshot_goes_when_nothing_names_it(home: Home) -> None:
    digest = home.snapshot("old")
    told = home.collect(dry_run=True)["items"][0]
    assert (told["what"], told["names"]) == ("snapshots", [digest])
    assert home.collected() == {"snapshots": 1, "blobs": 2}
    assert not home.snapshots.has(digest)


def test_a_snapshot_that_an_object_names_stays(home: Home) -> None:
    digest = home.snapshot("source")
    spec = {"command": ["python"], "source": {"digest": digest}}
    home.store.put(ModelJob.model_validate({"metadata": {"name": "train"}, "spec": spec}))
    assert home.collected() == {}


@pytest.mark.parametrize("named", ["source", "inputs"])
def test_a_snapshot_of_which_a_kept_version_was_made_stays(home: Home, named: str) -> None:
    digest = home.snapshot("source")
    home.version("weights", **{named: digest if named == "source" else {"train": digest}})
    assert home.collected() == {}
    home.versions.remove("digits")
    assert home.collected()["snapshots"] == 1


def test_a_snapshot_that_somebody_asked_for_is_kept_for_now(home: Home) -> None:
    home.snapshot("new", hours_ago=0.5)
    told = home.collect()
    assert told["items"] == []
    assert told["keptForNow"] == ["1 snapshots: somebody sent it or asked for it within the last hour"]


def test_to_ask_for_a_snapshot_keeps_it(home: Home) -> None:
    digest = home.snapshot("old")
    assert home.snapshots.has(digest)  # the machine's clock, which is ahead of this one
    assert home.collected() == {}


def test_what_an_operation_holds_is_kept_for_now(home: Home) -> None:
    with home.layout.lease("pull r.example/x:1") as lease:
        home.layout.put_blob(b"half of a model", lease=lease)
        told = home.collect()
    assert told["items"] == []
    assert told["keptForNow"] == ["blobs: held by pull r.example/x:1"]
    assert home.collected() == {"blobs": 1}


def test_unpacked_files_go_unless_they_are_used(home: Home) -> None:
    version = home.version()
    folder = home.materials.materialise(version.digest)
    home.used.add(version.digest)
    assert home.collected() == {}
    assert home.materials.materialise(version.digest) == folder
    home.used.clear()
    assert home.collected() == {"unpacked artifacts": 1}
    assert not folder.exists()
    assert (home.materials.materialise(version.digest) / "weights.bin").read_text() == "weights"


def test_files_that_somebody_begins_to_use_meanwhile_stay(home: Home) -> None:
    version = home.version()
    folder = home.materials.materialise(version.digest)
    assert not home.cached.drop(Digest(version.digest), lambda _: True)
    before = (folder / "weights.bin").stat().st_ino
    home.materials.materialise(version.digest)
    assert (folder / "weights.bin").stat().st_ino == before, "they were not made again"


def test_nothing_goes_while_a_manifest_is_damaged(home: Home) -> None:
    version = home.version()
    home.snapshot("old")
    home.layout.blob_path(Digest(version.digest)).write_bytes(b"{}")
    before = home.layout.tags()
    for dry_run in (True, False):
        with pytest.raises(Corrupt, match="nothing is deleted"):
            home.collect(dry_run=dry_run)
    assert home.layout.tags() == before


def test_once_begun_it_goes_to_its_end(home: Home) -> None:
    home.version()
    home.versions.remove("digits")

    async def scene() -> None:
        asked = asyncio.ensure_future(home.collecting.collect(dry_run=False, by="me", report=silent))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await home.collecting.collect(dry_run=False, by="me", report=silent)  # waits for the first

    asyncio.run(scene())
    assert [one.reason for one in home.journal.entries()] == ["Collected"]


def test_what_is_remembered_of_images_goes_with_their_layers(tmp_path: Path) -> None:
    hub = Home(tmp_path)
    kept, gone = hub.layout.put_manifest_bytes(b"{}", "x/y", "image/digits:latest"), hub.layout.put_blob(b"gone")
    cache = tmp_path / "cache" / "image"
    for folder in ("views", "systems", "layers", "room"):
        (cache / folder).mkdir(parents=True)
    for one in (kept, gone):
        (cache / "views" / f"{one.digest.hex}.json").write_text("[]")
        (cache / "systems" / f"{one.digest.hex}.json").write_text("{}")
        said = {"descriptor": {"digest": one.digest}}
        (cache / "layers" / f"{'0' if one is kept else '1'}{one.digest.hex[1:]}.json").write_text(json.dumps(said))
    (cache / "layers" / "broken.json").write_text("[")
    assert hub.collected() == {"blobs": 1, "notes on layers": 4}
    assert {path.name[1:64] for path in cache.rglob("*.json")} == {kept.digest.hex[1:]}
    assert hub.collect()["items"] == []
