"""What a Pod needs is put into its folders: models in all forms, snapshots, data sets; and nothing of what is wrong."""

from __future__ import annotations

import asyncio
import io
import stat
from pathlib import Path

import pytest

from shipway.controllers.operations.supplies import HomeSupplies
from shipway.courier.bring import Item, bring, install
from shipway.courier.patience import Patience
from shipway.data import Access, DataSets, ObjectStores
from shipway.errors import RegistryBroken, RegistryRefused, UserError
from shipway.models import Lineage, Materials, Snapshots, Versions
from shipway.models.modelpack import Form
from shipway.oci import Layout
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Limits, Registry
from shipway.runtime import launch
from shipway.snapshot import walk, write_tar
from shipway.testing.clock import FakeClock
from shipway.testing.registry import ChangedBytes, FakeRegistry, ServerError
from tests.oci.registry.faulty import HASTY

AT_ONCE = Patience(longest=0.1, first=0.01, most=0.01)


def client() -> Registry:
    return Registry(Anonymous(), limits=Limits(part=100_000, attempts=2), pace=HASTY)


def brought(state: Path, *items: Item) -> None:
    asyncio.run(bring(items, state, client, lambda _: None, patience=AT_ONCE))


def names(folder: Path) -> dict[str, bytes]:
    return {one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


class Home:
    """A hub's home with one of each, and what sends them."""

    def __init__(self, root: Path, registry: FakeRegistry) -> None:
        self.layout = Layout(root / "oci")
        self.versions = Versions(self.layout, FakeClock())
        self.data = DataSets(self.layout, FakeClock(), ObjectStores(Access({}, lambda _: {})))
        self.supplies = HomeSupplies(self.layout, Materials(self.layout, root / "cache"), client)
        self.repository = f"{registry.host}/team/things"

    def item(self, digest: str, folder: Path) -> Item:
        return Item(Reference.parse(asyncio.run(self.supplies.send(digest, self.repository))), folder)


@pytest.fixture
def home(tmp_path: Path, registry: FakeRegistry) -> Home:
    return Home(tmp_path / "home", registry)


@pytest.mark.parametrize("form", ["tar", "tar+zstd", "raw"])
def test_a_model_in_every_form(home: Home, output: Path, tmp_path: Path, form: Form) -> None:
    version = home.versions.pack("digits", output, Lineage(origin="job"), form=form)
    brought(tmp_path / "state", home.item(version.digest, tmp_path / "model"))
    assert names(tmp_path / "model") == names(output)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "model").rglob("*")}
    assert modes == {
        "config.json": 0o444, "model.safetensors": 0o444, "empty": 0o444, "run.sh": 0o555, "deep": 0o555, "er": 0o555,
    }  # fmt: skip
    assert not (tmp_path / "state").exists()


def test_a_snapshot_twice(home: Home, output: Path, tmp_path: Path) -> None:
    tar = io.BytesIO()
    digest = write_tar(walk(output), tar)
    Snapshots(home.layout).store(digest, io.BytesIO(tar.getvalue()))
    first, second = tmp_path / "inputs" / "a", tmp_path / "inputs" / "b"
    item = home.item(digest, first)
    assert item.reference.digest != digest  # which is of a tar, and no manifest
    brought(tmp_path / "state", item, Item(item.reference, second))
    assert names(first) == names(second) == names(output)


def test_a_data_set(home: Home, output: Path, tmp_path: Path) -> None:
    version = home.data.add("images", output, {})[0]
    brought(tmp_path / "state", home.item(version.digest, tmp_path / "images"))
    assert names(tmp_path / "images") == names(output)


@pytest.mark.thorough
def test_run_again_it_starts_from_nothing(home: Home, output: Path, tmp_path: Path) -> None:
    version = home.versions.pack("digits", output, Lineage(origin="job"))
    item, model = home.item(version.digest, tmp_path / "model"), tmp_path / "model"
    brought(tmp_path / "state", item)
    (tmp_path / "state" / "partial").mkdir(parents=True)
    (model / "half").write_text("")
    brought(tmp_path / "state", item)
    assert names(model) == names(output)


def test_a_registry_that_fails_for_a_while(home: Home, output: Path, tmp_path: Path, registry: FakeRegistry) -> None:
    item = home.item(home.versions.pack("digits", output, Lineage(origin="job")).digest, tmp_path / "model")
    registry.fail(ServerError(), times=5)
    brought(tmp_path / "state", item)
    assert names(tmp_path / "model") == names(output)


def test_one_that_lies_gets_no_file_into_the_folder(
    home: Home, output: Path, tmp_path: Path, registry: FakeRegistry
) -> None:
    item = home.item(home.versions.pack("digits", output, Lineage(origin="job")).digest, tmp_path / "model")
    registry.fail(ChangedBytes(), method="GET", path="*/blobs/*")
    with pytest.raises(RegistryBroken):
        brought(tmp_path / "state", item)
    assert not (tmp_path / "model").exists()


def test_what_is_not_there_is_said_at_once(tmp_path: Path, registry: FakeRegistry) -> None:
    nowhere = Item.parse(f"{registry.host}/team/digits@sha256:{'0' * 64}=/model")
    with pytest.raises(RegistryRefused, match="404"):
        brought(tmp_path / "state", nowhere)


@pytest.mark.parametrize("text", ["", "x", "ghcr.io/a/b:1=/model", "ghcr.io/a/b@sha256:" + "0" * 64 + "=model"])
def test_items_that_are_none(text: str) -> None:
    with pytest.raises(UserError):
        Item.parse(text)


def test_the_launcher_is_installed_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "run" / "launch.py"
    install(target)
    install(target)
    assert target.read_bytes() == Path(launch.__file__).read_bytes() and stat.S_IMODE(target.stat().st_mode) == 0o444
