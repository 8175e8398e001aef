"""Damaged documents for hypothesis: a good one, of which a part is another, is gone, or bytes are changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "text/plain",
)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(st.characters(), max_size=20)
    | st.sampled_from((*_TYPES, "\ud800", "sha256:", "sha512:" + "0" * 128, "sha256:" + "0" * 64, "../../etc", "\0"))
)
VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn, good: Mapping[str, Any]) -> bytes:
    """The good document as JSON with one to three places changed; one time in four its bytes are damaged then."""
    document: Any = copy.deepcopy(dict(good))
    for _ in range(draw(st.integers(1, 3))):
        document = _changed(draw, document)
    data = json.dumps(document).encode("utf-8", "surrogatepass")
    return draw(pieces(data)) if draw(st.integers(0, 3)) == 0 else data


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a piece of them replaced, cut out or doubled."""
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 40)))
    return data[:start] + draw(st.binary(max_size=20) | st.just(data[start:end] * 2)) + data[end:]


def _changed(draw: st.DrawFn, document: Any) -> Any:
    """One place of it: another value, or gone, or a field that was not there."""
    if not isinstance(document, dict | list) or not document or draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    key = draw(st.sampled_from(keys))
    match draw(st.sampled_from(("deeper", "deeper", "replace", "remove", "add"))):
        case "deeper":
            document[key] = _changed(draw, document[key])
        case "replace":
            document[key] = draw(VALUES)
        case "remove":
            del document[key]
        case _ if isinstance(document, dict):
            document[
                draw(st.sampled_from(("manifests", "layers", "config", "subject", "mediaType", "data", "urls")))
            ] = draw(VALUES)
        case _:
            document.append(draw(VALUES))
    return document
