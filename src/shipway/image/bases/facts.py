"""What a base's files say that a build needs to know; kept by the digest of its manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shipway.image import listing
from shipway.image.bases import interpreter
from shipway.image.platform import Platform, Python
from shipway.image.view import View
from shipway.oci import Descriptor, Digest, Layout

_VERSION = 1
_LARGEST = 1 << 20  # bytes of /etc/passwd


@dataclass(frozen=True, slots=True)
class Facts:
    """``why`` says where the versions were read; the other fields are those of :class:`Base`."""

    python: Python
    why: str
    top: frozenset[str]
    passwd: str
    group: str


def facts(
    layout: Layout,
    manifest: Digest,
    layers: Sequence[Descriptor],
    config: Mapping[str, Any],
    platform: Platform,
    cache: Path,
    name: str,
) -> Facts:
    """What the base says. Blocking; a pass over each layer the first time. Raises Refused without a usable Python."""
    kept = cache / "bases" / f"{manifest.hex}-{platform.architecture}.json"
    found = _kept(kept)
    if found is None:
        found = _read(View(layout, layers, cache / "views"), config, platform, name)
        listing.keep(kept, json.dumps([_VERSION, {**asdict(found), "top": sorted(found.top)}], ensure_ascii=False))
    return found


def _read(view: View, config: Mapping[str, Any], platform: Platform, name: str) -> Facts:
    found = interpreter.find(view, config, platform, name)
    return Facts(
        python=found.python,
        why=found.why,
        top=frozenset(one.path for one in view.children("")),
        passwd=_text(view, "etc/passwd"),
        group=_text(view, "etc/group"),
    )


def _text(view: View, path: str) -> str:
    found = view.find(path)
    if found is None or found.kind != "file":
        return ""
    return view.read(path, _LARGEST).decode(errors="replace")


def _kept(path: Path) -> Facts | None:
    try:
        version, said = json.loads(path.read_bytes())
        python, top = Python(**said.pop("python")), frozenset(said.pop("top"))
        return Facts(python=python, top=top, **said) if version == _VERSION else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
