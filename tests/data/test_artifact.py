"""The form in the layout: what registries and the collection of garbage see."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.data import ARTIFACT_TYPE, DataSets, Remote, artifact, is_data
from shipway.data.artifact import SUMMARY, opened, read_files
from shipway.data.files import LIST_TYPE
from shipway.errors import Corrupt
from shipway.oci import EMPTY_CONFIG, Descriptor, Index, Layout
from shipway.oci.manifest import INDEX_TYPE, MANIFEST_TYPE
from shipway.oci.sweep import Marks, sweep
from tests.data.material import noise

MB = 1 << 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    made = tmp_path / "large"
    made.mkdir()
    (made / "one.bin").write_bytes(noise(7 * MB))
    (made / "two.bin").write_bytes(noise(3 * MB, "two"))
    return made


def test_it_is_a_manifest_whose_layers_are_the_list_and_the_chunks(sets: DataSets, layout: Layout, large: Path) -> None:
    sets.add("raw", large, {"residency": "eu"})
    entry = sets.descriptor("raw")
    manifest = layout.read_manifest(entry)
    assert (entry.media_type, entry.artifact_type) == (MANIFEST_TYPE, ARTIFACT_TYPE)
    assert is_data(entry)
    assert manifest.config == EMPTY_CONFIG
    assert [one.media_type for one in manifest.layers[:2]] == [LIST_TYPE, artifact.CHUNK_TYPE]
    assert sum(one.size for one in manifest.layers[1:]) == 10 * MB
    said = json.loads(manifest.annotations[SUMMARY])
    assert said == {
        "files": 2,
        "size": 10 * MB,
        "content": manifest.layers[0].digest,
        "labels": {"residency": "eu"},
    }


def test_too_many_layers_become_an_index(
    sets: DataSets, layout: Layout, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "MOST_LAYERS", 3)
    sets.add("raw", large, {"residency": "eu"})
    entry = sets.descriptor("raw")
    assert entry.media_type == INDEX_TYPE
    assert is_data(entry)
    assert len(layout.read_index(entry).manifests) > 2
    assert sets.resolve("raw").labels == {"residency": "eu"}
    sets.write(entry, tmp_path / "out")
    assert (tmp_path / "out" / "one.bin").read_bytes() == noise(7 * MB)


@pytest.mark.parametrize("most", [3, 10_000])
def test_the_collection_of_garbage_keeps_all_of_it(
    sets: DataSets, layout: Layout, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(artifact, "MOST_LAYERS", most)
    sets.add("raw", large, {})
    layout.put_blob(b"garbage")
    gone = sweep(layout, Marks(layout.blobs))
    assert len(gone.blobs) == 1
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert (tmp_path / "out" / "two.bin").read_bytes() == noise(3 * MB, "two")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda one: replace(one, annotations={}), "cannot be read"),
        (lambda one: replace(one, annotations={SUMMARY: "{}"}), "cannot be read"),
        (lambda one: replace(one, layers=one.layers[1:]), "its first layer is not the file list"),
        (lambda one: replace(one, layers=()), "its first layer is not the file list"),
        (lambda one: replace(one, layers=one.layers[:1]), "its chunks are not the 10485760 bytes"),
        (lambda one: replace(one, layers=(*one.layers, one.layers[0])), "it has layers that are not"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_corrupt(
    sets: DataSets, layout: Layout, large: Path, damage: object, told: str
) -> None:
    sets.add("raw", large, {})
    assert callable(damage)
    wrong = layout.put_manifest(damage(layout.read_manifest(sets.descriptor("raw"))))
    with pytest.raises(Corrupt, match=told):
        opened(layout, wrong)


def test_a_list_that_is_not_what_the_summary_says_is_corrupt(sets: DataSets, layout: Layout, large: Path) -> None:
    sets.add("raw", large, {})
    right = opened(layout, sets.descriptor("raw"))
    with pytest.raises(Corrupt, match="does not hold what the data set says"):
        read_files(layout, replace(right, summary=replace(right.summary, files=5)))
    with pytest.raises(Corrupt, match="that is no list"):
        read_files(layout, replace(right, listing=replace(right.listing, size=1 << 40)))


def test_an_index_that_is_none_is_corrupt(layout: Layout) -> None:
    empty = layout.put_index(Index(artifact_type=ARTIFACT_TYPE))
    with pytest.raises(Corrupt, match="cannot be read"):
        opened(layout, empty)
    nothing = Descriptor(MANIFEST_TYPE, empty.digest, empty.size)
    with pytest.raises(Corrupt):
        opened(layout, nothing)


def test_where_a_pinned_one_lies_is_read_again() -> None:
    for one in (Remote("s3://b/p"), Remote("s3://b/p", "http://x", "s", allow_http=True)):
        assert Remote.from_json(one.to_json()) == one
