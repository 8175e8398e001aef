"""The folders of ``cache/artifacts``, which :class:`shipway.models.materialise.Materials` makes: which there are, and
how one goes while others may ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from shipway.models.materialise import remove
from shipway.oci import Digest, disk


class Cached:
    """The materialised artifacts of a home."""

    def __init__(self, cache: Path) -> None:
        self._root = cache / "artifacts"

    def all(self) -> Mapping[Digest, int]:
        """Each artifact whose files are there (or were begun), and their bytes."""
        if not self._root.is_dir():
            return {}
        names = {path.name.removesuffix(".part") for path in self._root.iterdir() if path.is_dir()}
        return {Digest(f"sha256:{name}"): self._size(name) for name in sorted(names) if Digest.is_hex(name)}

    def drop(self, digest: Digest, is_used: Callable[[Digest], bool]) -> bool:
        """Remove an artifact's files, unless they are used; whether they are gone.

        Whoever needs them again makes them again. Raises EnvironmentFault.
        """
        folder = self._root / digest.hex
        marker, aside = folder.with_suffix(".json"), folder.with_suffix(".going")
        with disk.faults(f"remove {folder}"), disk.locked(folder.with_suffix(".lock")):
            # Without its marker the folder is not believed, and who wants it waits for this lock. Whoever believed it
            # before is among the users now.
            if marker.exists():
                marker.replace(aside)
            if is_used(digest):
                if aside.exists():
                    aside.replace(marker)
                return False
            for path in (folder, folder.with_suffix(".part")):
                remove(path)
            for end in (".going", ".new"):
                folder.with_suffix(end).unlink(missing_ok=True)
            return True

    def _size(self, name: str) -> int:
        folders = (self._root / name, self._root / f"{name}.part")
        files = (path.lstat() for folder in folders for path in folder.rglob("*") if not path.is_dir())
        return sum(one.st_size for one in files)
