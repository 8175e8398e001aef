"""What a backup holds: the names that may be in it, and its manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shipway.secrets import KEY, NAME

MANIFEST = "manifest.json"
FORMAT = 1

# A member of any other name is refused, so no name can lead out of the home.
_BLOB = re.compile(r"oci/blobs/sha256/([0-9a-f]{64})")
_SECRET = re.compile(f"secrets/{NAME.pattern}/{KEY.pattern}")
_FIXED = frozenset({"store.db", "journal.db", "oci/oci-layout", "oci/index.json"})


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a backup: its sha256 (64 hex digits) and its size in bytes."""

    sha256: str
    size: int


def allowed(name: str) -> bool:
    """Whether a file of that name belongs into a backup."""
    return name in _FIXED or bool(_BLOB.fullmatch(name) or _SECRET.fullmatch(name))


def wrong(listed: Mapping[str, Content], found: Mapping[str, Content], *, encrypted: bool) -> list[str]:
    """What does not agree between the manifest and the files, in words; blobs must be what their names say too.

    Not where they are ``encrypted``, for the names are of what is in them: whoever has the key sees it when reading.
    """
    problems = [f"{name} is missing" for name in sorted(listed.keys() - found.keys())]
    problems += [f"{name} is not in the manifest" for name in sorted(found.keys() - listed.keys())]
    for name in sorted(listed.keys() & found.keys()):
        blob = None if encrypted else _BLOB.fullmatch(name)
        if listed[name] != found[name] or (blob and blob[1] != found[name].sha256):
            problems.append(f"{name} does not match its digest")
    missing = sorted(_FIXED - found.keys() - listed.keys())
    return problems + [f"{name} is missing" for name in missing]
