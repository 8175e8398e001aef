"""What ``HOME/cache/image`` remembers of blobs, and what of it is of no use any more because the blob is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from shipway.oci import Digest, disk
from shipway.oci.document import NOT_READABLE

_NAMED = ("views", "systems", "bases")  # files there are named after the blob's digest
_KEYED = "layers"  # and there after what made the layer


class Remembered:
    """The files that say what is in a layer or a base. Each is made again when somebody asks."""

    def __init__(self, cache: Path) -> None:
        """``cache`` is that of the home."""
        self._root = cache / "image"

    def stale(self, there: Set[str]) -> Mapping[Path, int]:
        """The files of blobs that are not ``there`` (digests), and their bytes. Raises EnvironmentFault."""
        with disk.faults(f"read {self._root}"):
            return {path: path.stat().st_size for path, digest in self._files() if digest not in there}

    def drop(self, path: Path) -> None:
        """Idempotent. Raises EnvironmentFault."""
        with disk.faults(f"remove {path}"):
            path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[Path, str]]:
        for folder in _NAMED:
            for path in sorted((self._root / folder).glob("*.json")):
                if Digest.is_hex(path.name[:64]):
                    yield path, f"sha256:{path.name[:64]}"
        for path in sorted((self._root / _KEYED).glob("*.json")):
            yield path, _layer(path)


def _layer(path: Path) -> str:
    """The digest of the layer that it remembers; empty for what cannot be read."""
    try:
        return str(json.loads(path.read_bytes())["descriptor"]["digest"])
    except (OSError, *NOT_READABLE):
        return ""
