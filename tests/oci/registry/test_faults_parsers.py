"""Whatever bytes stand for a manifest or an index: a value, or one of the errors that the parser names."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipway.errors import UserError
from shipway.oci import EMPTY_CONFIG, Descriptor, Digest, Index, Manifest
from tests.oci.registry.mutations import VALUES, documents

NAMED = (KeyError, TypeError, ValueError, UserError)
BLOB = Descriptor("application/octet-stream", Digest.of(b"blob"), 4, {"org.cncf.model.filepath": "w.bin"})
MANIFEST = json.loads(
    Manifest(EMPTY_CONFIG, (BLOB,), "application/x", {"a": "b"}, Descriptor("x/y", Digest.of(b"s"), 1)).to_bytes()
)
INDEX = json.loads(Index((BLOB,)).with_tag("digits:1", BLOB).to_bytes())
DEEP = b'{"config":' + b"[" * 200_000
bounded = settings(max_examples=80, deadline=None, derandomize=True, database=None)


@bounded
@given(documents(MANIFEST) | st.binary(max_size=100) | VALUES.map(lambda one: json.dumps(one).encode()))
@example(DEEP)
@example(b"[]")
@example(b"9" * 5000)
def test_manifests(data: bytes) -> None:
    try:
        manifest = Manifest.from_bytes(data)
    except NAMED:
        return
    again = Manifest.from_bytes(manifest.to_bytes())
    assert again.to_bytes() == manifest.to_bytes()
    assert hash(manifest) == hash(again)


@bounded
@given(documents(INDEX) | st.binary(max_size=100) | VALUES.map(lambda one: json.dumps(one).encode()))
@example(DEEP.replace(b"config", b"manifests"))
@example(b"[]")
@example(b'{"manifests": null}')
def test_indexes(data: bytes) -> None:
    try:
        index = Index.from_bytes(data)
    except NAMED:
        return
    assert all(isinstance(tag, str) for tag in index.tags)
    index.find(BLOB.digest)
    changed = index.with_tag("digits:2", BLOB).with_tag_annotated("digits:2", "a", "b").without_tag("digits:1")
    assert Index.from_bytes(changed.to_bytes()).tags == changed.tags


@bounded
@given(documents(MANIFEST["layers"][0]) | VALUES.map(lambda one: json.dumps(one).encode()))
def test_descriptors(data: bytes) -> None:
    try:
        descriptor = Descriptor.from_json(json.loads(data))
    except (*NAMED, RecursionError):
        return
    assert 0 <= descriptor.size < 2**63
    assert all(isinstance(text, str) for pair in descriptor.annotations.items() for text in pair)
    assert Descriptor.from_json(descriptor.to_json()) == descriptor
    json.dumps(descriptor.to_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "\n", "sha512:" + "0" * 128]
)
def test_digests(text: str) -> None:
    with pytest.raises(UserError):
        Digest(text)
