"""Digests, descriptors, manifests and indexes as values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import UserError
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Index, Manifest
from shipway.oci.index import REF_NAME

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
LAYER = Descriptor("application/x.raw", Digest.of(b"layer"), 5, {"name": "a"})


def test_a_digest_is_the_sha256_of_the_bytes() -> None:
    digest = Digest.of(b"abc")
    assert digest == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert digest.hex == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "sha512:" + "a" * 64, "a" * 64, "../../etc"]
)
def test_what_is_no_digest_cannot_be_one(text: str) -> None:
    with pytest.raises(UserError, match="is not a digest"):
        Digest(text)


def test_the_empty_config_is_the_specifications() -> None:
    assert Digest.of(EMPTY_CONFIG_BYTES) == EMPTY_CONFIG.digest
    assert len(EMPTY_CONFIG_BYTES) == EMPTY_CONFIG.size


def test_a_descriptor_keeps_what_it_does_not_know() -> None:
    document = {**LAYER.to_json(), "urls": ["https://example.org"], "platform": {"os": "linux"}}
    assert Descriptor.from_json(document).to_json() == document


@pytest.mark.parametrize("size", [-1, "5", None, 1.5])
def test_a_descriptor_needs_a_size(size: object) -> None:
    with pytest.raises(ValueError, match="not a number of bytes"):
        Descriptor.from_json({**LAYER.to_json(), "size": size})


def test_a_manifest_is_canonical_bytes_and_back() -> None:
    manifest = Manifest(EMPTY_CONFIG, (LAYER,), "application/x", {"b": "2", "a": "ü"}, subject=LAYER)
    same = Manifest(EMPTY_CONFIG, (LAYER,), "application/x", {"a": "ü", "b": "2"}, subject=LAYER)
    assert manifest.to_bytes() == same.to_bytes()
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert json.loads(manifest.to_bytes())["schemaVersion"] == 2


def test_empty_optional_fields_are_left_out() -> None:
    document = json.loads(Manifest(EMPTY_CONFIG, ()).to_bytes())
    assert set(document) == {"schemaVersion", "mediaType", "config", "layers"}


def test_a_tag_names_one_manifest() -> None:
    other = Descriptor("m", Digest.of(b"other"), 5)
    index = Index().with_tag("a:1", LAYER).with_tag("b:1", LAYER).with_tag("a:1", other)
    assert index.tags == {"a:1": other, "b:1": LAYER}
    assert index.without_tag("a:1").tags == {"b:1": LAYER}
    assert index.find(other.digest) == other
    assert index.find(Digest.of(b"none")) is None


def test_an_index_keeps_what_it_does_not_know() -> None:
    document = {"schemaVersion": 2, "manifests": [LAYER.to_json()], "annotations": {"made": "by hand"}}
    assert json.loads(Index.from_bytes(json.dumps(document).encode()).to_bytes())["annotations"] == {"made": "by hand"}


@PROPERTY
@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_annotations_of_any_text_survive(annotations: dict[str, str]) -> None:
    index = Index((LAYER.annotated(annotations),))
    assert Index.from_bytes(index.to_bytes()) == index


def test_tags_are_carried_to_the_index_with_one_more() -> None:
    other = replace(LAYER, size=7)
    index = Index().with_tag("b:1", LAYER).with_tag("c:1", LAYER)
    assert list(index.tags) == ["b:1", "c:1"]
    changed = index.with_tag("a:1", other).with_tag("b:1", other)
    assert list(changed.tags.items()) == [("a:1", other), ("b:1", other), ("c:1", LAYER)]
    assert changed.tags == Index.from_bytes(changed.to_bytes()).tags
    assert list(index.tags.items()) == [("b:1", LAYER), ("c:1", LAYER)]


def test_no_thread_sees_half_of_the_tags() -> None:
    """Who saw the half would give a number a second time."""
    seen: list[list[str]] = []

    class Looking(dict[str, str]):
        """Annotations during whose reading another thread asks for the tags."""

        def items(self) -> Any:
            if not seen:
                seen.append([])
                seen[0] = list(index.tags)
            return super().items()

    named = [LAYER.annotated({REF_NAME: f"a:{number}"}) for number in (1, 2, 3)]
    index = Index((*named[:1], replace(named[1], annotations=Looking(named[1].annotations)), *named[2:]))
    assert list(index.tags) == seen[0] == ["a:1", "a:2", "a:3"]
