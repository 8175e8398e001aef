"""An image's config, which anybody may have written: checked once, before anything is built on it. Pure.

Source: OCI image-spec v1.1.1, config.md ("Properties").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway.oci import Digest
from shipway.oci import document as documents

_LISTS = ("Env", "Entrypoint", "Cmd")
_TEXTS = ("User", "WorkingDir", "StopSignal")
_SETS = ("ExposedPorts", "Volumes")


def read(data: bytes, layers: int) -> Mapping[str, Any]:
    """The document of an image with so many layers. What a build reads of it has the form that it should have.

    Raises what ``document.NOT_READABLE`` names.
    """
    config = documents.read(data)
    diff_ids = config["rootfs"]["diff_ids"]
    if not _is_texts(diff_ids) or len(diff_ids) != layers:
        raise ValueError(f"it has not a diff_id for each of {layers} layers")
    for one in diff_ids:
        Digest(one)
    said = config.get("config") or {}
    for name in _LISTS:
        if not _is_texts(said.get(name) or []):
            raise ValueError(f"{name} is no list of texts")
    for name in _TEXTS:
        documents.optional_text(said, name)
    for name in _SETS:
        if not isinstance(said.get(name) or {}, dict):
            raise ValueError(f"{name} is no object")
    documents.texts(said, "Labels")
    history = config.get("history") or []
    if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
        raise ValueError("history is no list of objects")
    return config


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that containers of the image have."""
    said = (config.get("config") or {}).get("Env") or ()
    return dict(one.partition("=")[::2] for one in said)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
