"""The Python packages that lie in an image, as the names of their metadata's folders say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shipway.image.view import View

# Source: PyPA, "Recording installed projects": {name}-{version}.dist-info, with METADATA in it.
_METADATA = re.compile(r"(?:.*/)?([^/]+)-([^/-]+)\.dist-info/METADATA")


@dataclass(frozen=True, slots=True, order=True)
class Installed:
    """A package, where it is installed, and in which layer (the lowest is 0) its metadata lie."""

    name: str
    version: str
    folder: str
    layer: int


def installed(view: View) -> Sequence[Installed]:
    """All packages, by name; one that is installed in two places comes twice."""
    found = ((one, _METADATA.fullmatch(one.path)) for one in view.walk() if one.kind == "file")
    return sorted(
        Installed(match[1], match[2], one.path.rpartition("/")[0].rpartition("/")[0], one.layer)
        for one, match in found
        if match
    )
