"""What a manifest refers to."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Manifest
from shipway.oci.label import label
from shipway.oci.manifest import DOCKER_MANIFEST_TYPE, INDEX_TYPE, MANIFEST_TYPE
from shipway.oci.registry import contents
from shipway.oci.registry.contents import Contents

LAYER = Descriptor("application/x", Digest.of(b"layer"), 5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["manifests", "layers", "config", "blobs", "subject", "mediaType", "digest", "size", "annotations"]
            ),
            below,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_manifest_needs_its_config_and_layers() -> None:
    found = contents.of(Manifest(EMPTY_CONFIG, (LAYER,), subject=LAYER).to_bytes())
    assert (found.blobs, found.manifests, found.subject) == ((EMPTY_CONFIG, LAYER), (), LAYER)


def test_an_index_needs_its_manifests_of_whatever_type() -> None:
    entry = {**LAYER.to_json(), "mediaType": "application/vnd.who.knows"}
    assert contents.of(as_json({"manifests": [entry]})).manifests[0].media_type == "application/vnd.who.knows"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"nonsense",
        b"[" * 100_000,
        as_json({"layers": [1]}),
        as_json({"manifests": {"a": 1}}),
        as_json({"layers": [{"mediaType": "x", "digest": "sha256:1", "size": 1}]}),
        as_json({"layers": [{**LAYER.to_json(), "size": -1}]}),
        as_json({"layers": [{**LAYER.to_json(), "digest": 7}]}),
    ],
)
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(ValueError, match="it is no"):
        contents.of(data)


def test_the_type_is_what_it_says_itself_else_what_the_registry_says() -> None:
    data = as_json({"mediaType": MANIFEST_TYPE, "layers": []})
    assert contents.media_type(data, f"{MANIFEST_TYPE}; charset=utf-8") == MANIFEST_TYPE
    assert contents.media_type(data, "text/plain") == MANIFEST_TYPE
    assert contents.media_type(as_json({"layers": []}), DOCKER_MANIFEST_TYPE) == DOCKER_MANIFEST_TYPE


@pytest.mark.parametrize(
    "document, told, why",
    [
        ({"mediaType": MANIFEST_TYPE}, INDEX_TYPE, "and the registry that it is"),
        ({"layers": [], "manifests": []}, "", "at once"),
        ({"layers": []}, INDEX_TYPE, "and is not"),
        ({"manifests": []}, DOCKER_MANIFEST_TYPE, "and is not"),
        ({"mediaType": 7}, "", "no text"),
    ],
)
def test_nothing_is_two_things_at_once(document: dict[str, Any], told: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        contents.media_type(as_json(document), told)


def test_embedded_content_is_believed_only_when_it_is_right() -> None:
    assert contents.embedded(EMPTY_CONFIG) == EMPTY_CONFIG_BYTES
    assert contents.embedded(LAYER) is None
    for data in (base64.b64encode(b"other").decode(), "!", 7, base64.b64encode(b"layer, longer").decode()):
        assert contents.embedded(Descriptor("x", LAYER.digest, 5, extra={"data": data})) is None


def test_people_see_a_files_name() -> None:
    assert label(LAYER) == f"blob {LAYER.digest.hex[:12]}"
    assert label(EMPTY_CONFIG) == "config 44136fa355b3"
    assert label(replace(LAYER, media_type="application/vnd.cncf.model.config.v1+json")).startswith("config ")
    assert label(replace(LAYER, media_type=INDEX_TYPE)).startswith("index ")
    assert label(replace(LAYER, media_type=MANIFEST_TYPE)).startswith("manifest ")
    assert label(LAYER.annotated({"org.opencontainers.image.title": "a.bin"})) == "a.bin"


@settings(max_examples=50, deadline=None)
@given(JSON)
def test_any_json_is_a_manifest_or_a_value_error(document: Any) -> None:
    data = as_json(document)
    for read in (contents.of, lambda data: contents.media_type(data, "application/json")):
        try:
            read(data)
        except ValueError:
            continue


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_a_manifest_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert contents.of(data) == Contents(), "these bytes refer to nothing"
