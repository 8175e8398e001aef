"""Manifests and indexes in a layout: nested, other tools', too large; and what refers to another artifact."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.errors import Corrupt, Refused, UserError
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.manifest import DOCKER_INDEX_TYPE, DOCKER_MANIFEST_TYPE, INDEX_TYPE, MANIFEST_TYPE

SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "oci")
    made.put_blob(EMPTY_CONFIG_BYTES)
    return made


def version(layout: Layout, content: bytes = b"weights") -> Descriptor:
    return layout.put_manifest(Manifest(EMPTY_CONFIG, (layout.put_blob(content),), "application/x"))


def about(layout: Layout, subject: Descriptor, content: bytes = b"signed", kind: str = SIGNATURE) -> Manifest:
    return Manifest(EMPTY_CONFIG, (layout.put_blob(content),), kind, {"by": "me"}, subject)


def test_an_index_is_kept_as_a_blob_with_all_that_it_says(layout: Layout) -> None:
    model = version(layout)
    index = Index((model,), "application/y", {"a": "b"}, subject=model, extra={"later": [1]})
    descriptor = layout.put_index(index, "digits:1")
    assert (descriptor.media_type, descriptor.artifact_type) == (INDEX_TYPE, "application/y")
    assert layout.read_index(layout.resolve("digits:1")) == index
    assert layout.read_artifact(layout.resolve("digits:1")) == index
    assert layout.put_index(Index((model,))) == layout.put_index(Index((model,)))


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST_TYPE, MANIFEST_TYPE])
def test_another_tools_manifest_is_kept_byte_for_byte(layout: Layout, kind: str) -> None:
    layer = layout.put_blob(b"layer")
    document = {"schemaVersion": 2, "mediaType": kind, "config": EMPTY_CONFIG.to_json(), "layers": [layer.to_json()]}
    data = json.dumps({**document, "unknown": True}, indent=3).encode()
    descriptor = layout.put_manifest_bytes(data, kind, "theirs")
    assert descriptor == Descriptor(kind, Digest.of(data), len(data))
    assert layout.read_blob(descriptor) == data
    assert layout.read_artifact(layout.resolve("theirs")) == Manifest(EMPTY_CONFIG, (layer,))


def test_dockers_list_is_read_as_an_index(layout: Layout) -> None:
    model = version(layout)
    data = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_INDEX_TYPE, "manifests": [model.to_json()]}).encode()
    listed = layout.put_manifest_bytes(data, DOCKER_INDEX_TYPE)
    assert layout.read_artifact(listed) == Index((model,))


def test_a_manifest_of_ten_megabytes_is_neither_kept_nor_read(layout: Layout) -> None:
    data = json.dumps({"config": EMPTY_CONFIG.to_json(), "layers": [], "annotations": {"a": "x" * 10_000_000}}).encode()
    with pytest.raises(Refused, match=r"has 10\d+ bytes: at most 4194304 are read"):
        layout.put_manifest_bytes(data, MANIFEST_TYPE)
    blob = layout.put_blob(data, MANIFEST_TYPE)
    for read in (layout.read_manifest, layout.read_index):
        with pytest.raises(Refused, match="at most 4194304"):
            read(blob)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'"text"', b'{"schemaVersion": Infinity}', b'{"a": "\\ud800"}'],
)
def test_what_is_no_manifest_is_refused(layout: Layout, data: bytes) -> None:
    with pytest.raises(UserError, match="is no manifest of type"):
        layout.put_manifest_bytes(data, MANIFEST_TYPE)
    blob = layout.put_blob(data)
    with pytest.raises(Corrupt, match="is not a manifest"):
        layout.read_manifest(blob)
    with pytest.raises(Corrupt, match="is not an image index"):
        layout.read_index(blob)


def test_an_entry_is_annotated_and_its_artifact_stays(layout: Layout) -> None:
    model = version(layout)
    layout.tag(model, "digits:1")
    for said, there in (("[]", model.annotated({"a": "[]"})), (None, model)):
        with layout.edit() as edit:
            edit.index = edit.index.with_tag_annotated("digits:1", "a", said).with_tag_annotated(
                "no such tag", "b", "c"
            )
        assert layout.tags() == {"digits:1": there}


def test_referrers_are_found_by_their_subject(layout: Layout) -> None:
    model = version(layout)
    layout.tag(model, "digits:1")
    assert layout.referrers(model.digest) == ()
    first = layout.attach(about(layout, model))
    other = layout.attach(about(layout, model, kind="text/spdx"))
    assert layout.attach(about(layout, model)) == first, "said once"
    assert layout.referrers(model.digest) == (other, first)
    assert layout.referrers(model.digest, SIGNATURE) == (first,)
    assert (first.artifact_type, dict(first.annotations)) == (SIGNATURE, {"by": "me"})
    assert layout.read_manifest(first).subject == model
    assert f"sha256-{model.digest.hex}" in layout.tags(), "as the distribution specification has it"


def test_a_referrer_without_a_type_has_that_of_its_config(layout: Layout) -> None:
    model = version(layout)
    attached = layout.attach(Manifest(EMPTY_CONFIG, (), subject=model))
    assert attached.artifact_type == EMPTY_CONFIG.media_type


def test_what_says_nothing_of_another_cannot_be_attached(layout: Layout) -> None:
    with pytest.raises(UserError, match="no subject"):
        layout.attach(Manifest(EMPTY_CONFIG, ()))
