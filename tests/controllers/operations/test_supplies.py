"""What travels between the home and a cluster's registry: sent once, mounted elsewhere, brought back whole."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.controllers.operations import supplies
from shipway.controllers.operations.supplies import HomeSupplies
from shipway.courier.output import Output
from shipway.errors import NotFound, Refused, RegistryRefused, UserError
from shipway.models import Lineage, Materials, Snapshots, Versions
from shipway.oci import Index, Layout, Manifest
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Limits, Registry
from shipway.snapshot import walk, write_tar
from shipway.testing.clock import FakeClock
from shipway.testing.registry import FakeRegistry, Reply
from tests.oci.registry.faulty import HASTY

pytestmark = pytest.mark.usefixtures("_no_certificates")


@pytest.fixture(scope="module")
def _no_certificates() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield


def client() -> Registry:
    return Registry(Anonymous(), limits=Limits(attempts=2), pace=HASTY)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "model.bin").write_bytes(bytes(range(256)) * 8000)
    (folder / "config.json").write_text("{}")
    return folder


class Home:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root / "oci")
        self.versions = Versions(self.layout, FakeClock())
        self.supplies = self.again()

    def again(self) -> HomeSupplies:
        """As the next hub has it."""
        return HomeSupplies(self.layout, Materials(self.layout, self.root / "cache"), client)

    def send(self, digest: str, repository: str) -> str:
        return asyncio.run(self.supplies.send(digest, repository))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def uploads(registry: FakeRegistry) -> int:
    return sum(len(registry.requests(method=method, path="*/blobs/*")) for method in ("PUT", "PATCH"))


def test_a_version_is_sent_as_its_index_and_only_once(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    sent = home.send(version.digest, f"{registry.host}/team/digits")
    assert sent == f"{registry.host}/team/digits@{version.digest}"
    index = Index.from_bytes(registry.manifest("team/digits", version.digest) or b"")
    platforms = [one.extra["platform"]["architecture"] for one in index.manifests]
    assert platforms == ["unknown", "amd64", "arm64"]
    asked = len(registry.requests())
    assert home.send(version.digest, f"{registry.host}/team/digits") == sent and len(registry.requests()) == asked


def test_the_next_hub_asks_once_and_sends_what_was_lost(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    sent = home.send(version.digest, f"{registry.host}/team/digits")
    asked = len(registry.requests())
    home.supplies = home.again()
    assert home.send(version.digest, f"{registry.host}/team/digits") == sent
    assert len(registry.requests()) == asked + 1
    home.supplies = home.again()
    registry.fail(Reply(404), method="*", path="*/manifests/*", times=2)  # HEAD, and GET that says why
    assert home.send(version.digest, f"{registry.host}/team/digits") == sent
    assert len(registry.requests()) > asked + 3


def test_a_registry_that_is_away_stops_nothing_that_was_sent(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    sent = home.send(version.digest, f"{registry.host}/team/digits")
    home.supplies = home.again()
    with registry.down():
        assert home.send(version.digest, f"{registry.host}/team/digits") == sent


def test_two_at_once_send_it_once(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))

    async def both() -> list[str]:
        return await asyncio.gather(
            *(home.supplies.send(version.digest, f"{registry.host}/team/digits") for _ in range(2))
        )

    first, second = asyncio.run(both())
    assert first == second and len(registry.requests(method="PUT", path="*/manifests/*")) == 4


def test_another_repository_gets_a_mount(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    home.send(version.digest, f"{registry.host}/team/digits")
    sent = uploads(registry)
    home.send(version.digest, f"{registry.host}/other/digits")
    assert uploads(registry) == sent


def test_a_raw_version_gets_an_image_that_nodes_can_mount(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"), form="raw")
    sent = home.send(version.digest, f"{registry.host}/team/digits")
    found = Index.from_bytes(registry.manifest("team/digits", sent.partition("@")[2]) or b"")
    assert [one.extra["platform"]["architecture"] for one in found.manifests] == ["unknown", "amd64", "arm64"]
    image = Manifest.from_bytes(registry.manifest("team/digits", found.manifests[1].digest) or b"")
    assert {one.media_type for one in image.layers} == {"application/vnd.oci.image.layer.v1.tar"}
    home.supplies = home.again()
    assert home.send(version.digest, f"{registry.host}/team/digits") == sent


def test_a_snapshot_is_sent_as_its_manifest(home: Home, files: Path, registry: FakeRegistry) -> None:
    tar = io.BytesIO()
    digest = write_tar(walk(files), tar)
    Snapshots(home.layout).store(digest, io.BytesIO(tar.getvalue()))
    sent = home.send(digest, f"{registry.host}/team/inputs")
    assert (
        Manifest.from_bytes(registry.manifest("team/inputs", sent.partition("@")[2]) or b"").layers[0].digest == digest
    )


def test_what_is_not_here_and_what_the_registry_refuses(home: Home, files: Path, registry: FakeRegistry) -> None:
    with pytest.raises(NotFound, match="no snapshot, no model version and no data set"):
        home.send("sha256:" + "0" * 64, f"{registry.host}/team/digits")
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    trap = registry.fail(Reply(403))
    with pytest.raises(RegistryRefused, match="403"):
        home.send(version.digest, f"{registry.host}/team/digits")
    trap.lift()
    assert home.send(version.digest, f"{registry.host}/team/digits").endswith(version.digest)


# -- outputs of jobs


def pushed(folder: Path, registry: FakeRegistry) -> str:
    """As a courier pushes it."""
    output = Output.of(folder)
    assert output is not None

    async def push() -> None:
        async with client() as asking:
            await asking.send(output, output.root, Reference.parse(f"{registry.host}/team/outputs:digits-1"))

    asyncio.run(push())
    return f"{registry.host}/team/outputs@{output.root.digest}"


def test_an_output_comes_back_and_its_version_is_mounted(home: Home, files: Path, registry: FakeRegistry) -> None:
    reference = pushed(files, registry)
    folder = asyncio.run(home.supplies.fetch(reference))
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {
        one.name: one.read_bytes() for one in files.iterdir()
    }
    assert not (folder / "model.bin").stat().st_mode & 0o222
    asked = len(registry.requests())
    assert asyncio.run(home.again().fetch(reference)) == folder and len(registry.requests()) == asked
    before = {one.name for one in (home.root / "oci" / "blobs" / "sha256").iterdir() if one.stat().st_size > 1_000_000}
    version = home.versions.pack("digits", folder, Lineage(origin="job"))
    after = {one.name for one in (home.root / "oci" / "blobs" / "sha256").iterdir() if one.stat().st_size > 1_000_000}
    assert before == after  # the same blob
    home.send(version.digest, f"{registry.host}/team/digits")
    large = registry.requests(method="PATCH", path="/v2/team/digits/*")
    assert not large  # the weights were mounted from the outputs


def test_the_oldest_outputs_go(
    home: Home, files: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supplies, "_KEPT", 2)
    for one in range(4):
        (files / "config.json").write_text(str(one))
        newest = pushed(files, registry)
        asyncio.run(home.supplies.fetch(newest))
    kept = [tag for tag in home.layout.tags() if tag.startswith("output/")]
    assert len(kept) == 2 and f"output/{newest.partition('@sha256:')[2]}" in kept


def test_what_is_no_output_is_refused(home: Home, files: Path, registry: FakeRegistry) -> None:
    version = home.versions.pack("digits", files, Lineage(origin="job"))
    model = home.send(version.digest, f"{registry.host}/team/digits")
    with pytest.raises(Refused, match="no output of a job"):
        asyncio.run(home.supplies.fetch(model))
    with pytest.raises(UserError, match="no digest"):
        asyncio.run(home.supplies.fetch(f"{registry.host}/team/outputs:1"))
    with pytest.raises(NotFound):
        asyncio.run(home.supplies.fetch(f"{registry.host}/team/outputs@sha256:{'0' * 64}"))
