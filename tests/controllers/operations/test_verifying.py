"""Every byte is read again, and damage is found."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shipway.errors import NotFound
from shipway.oci import Digest
from tests.controllers.operations.conftest import Home


def verify(home: Home, ref: str = "champion") -> dict[str, Any]:
    return dict(asyncio.run(home.transfers.verify("digits", ref, home.report)))


@pytest.fixture
def trained(home: Home) -> Home:
    asyncio.run(home.trained(model_onnx=b"weights", labels_txt=b"a\nb\n"))
    return home


def layer_of(home: Home, file: str) -> Digest:
    """The blob that holds a file."""
    found = asyncio.run(home.parts.version("digits", "1"))[1]
    [manifest, *_] = home.layout.read_index(found).manifests
    layers = home.layout.read_manifest(manifest).layers
    return next(one.digest for one in layers if one.annotations.get("org.cncf.model.filepath") == file)


def test_a_whole_version_is_whole(trained: Home) -> None:
    found = verify(trained)
    assert (found["what"], found["damage"], found["signatures"]) == ("digits:1", [], [])
    # an index, a ModelPack and two images, a config of each, two layers that they share
    assert found["blobs"] == 1 + 3 + 3 + 2
    assert {one.what for one in trained.reports} >= {"model.onnx", "labels.txt"}


def test_a_bit_that_fell_over_is_found_with_its_file(trained: Home) -> None:
    digest = layer_of(trained, "model.onnx")
    path = trained.layout.blob_path(digest)
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    [damage] = verify(trained)["damage"]
    assert (damage["digest"], damage["what"]) == (digest, "model.onnx")


def test_all_that_is_lost_is_listed_and_the_rest_is_still_read(trained: Home) -> None:
    lost = [layer_of(trained, "model.onnx"), layer_of(trained, "labels.txt")]
    for digest in lost:
        trained.layout.blob_path(digest).unlink()
    found = verify(trained)
    assert {one["digest"] for one in found["damage"]} == set(lost)
    assert found["blobs"] == 9


def test_a_damaged_manifest_is_one_damage(trained: Home) -> None:
    index = asyncio.run(trained.parts.version("digits", "1"))[1]
    [manifest, *_] = trained.layout.read_index(index).manifests
    trained.layout.blob_path(manifest.digest).write_bytes(b"{}")
    assert [one["digest"] for one in verify(trained)["damage"]] == [manifest.digest]


def test_what_is_not_there_is_told(trained: Home) -> None:
    with pytest.raises(NotFound, match="has no version '7'"):
        verify(trained, "7")
