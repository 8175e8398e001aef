"""The folder that a Dockerfile's COPYs speak of, as .dockerignore and the rules for images leave it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from pathlib import Path

from shipway.image.context import LeftOut, context
from shipway.image.dockerfile.ground import Found
from shipway.image.dockerfile.matching import is_pattern
from shipway.image.dockerfile.meaning import Copy, Install, Step

_NOT_IN = "!pylock.*.toml"  # the lock says what is in the image, and would change it


class FolderOrigin:
    """Its files, as a place to copy from."""

    def __init__(
        self, root: Path, files: dict[str, Found], notes: tuple[str, ...], left_out: tuple[LeftOut, ...]
    ) -> None:
        self.notes, self.left_out = notes, left_out
        self._root, self._files = root, files
        self._folders = {parent for name in files for parent in _above(name)}

    @classmethod
    def read(
        cls, root: Path, chosen: Sequence[str], allow: Sequence[str], dockerfile: str, scanned: Path
    ) -> FolderOrigin:
        """What the patterns choose. Raises as :func:`shipway.image.context.context`."""
        if not chosen:
            return cls(root, {}, (), ())
        name = posixpath.basename(dockerfile)
        found = context(root, (*chosen, _NOT_IN), allow, dockerfile=name, scanned=scanned)
        files = {one.name: Found(one.name, "file", one.executable, content=one.path) for one in found.files}
        return cls(root, files, found.notes, found.left_out)

    def find(self, path: str) -> Found | None:
        if path in self._files:
            return self._files[path]
        # A folder without files is there, too: Docker makes the destination all the same.
        is_folder = not path or path in self._folders or (self._root / path).is_dir()
        return Found(path, "folder") if is_folder else None

    def below(self, folder: str) -> Iterator[Found]:
        start = f"{folder}/" if folder else ""
        yield from (one for name, one in self._files.items() if name.startswith(start))
        yield from (Found(name, "folder") for name in self._folders if name.startswith(start))


def patterns(root: Path, steps: Sequence[Step]) -> tuple[str, ...]:
    """Which files of the folder the steps can want, as patterns of a snapshot: what no COPY names is not looked at."""
    names = [source for step in steps if isinstance(step, Copy) and step.origin is None for source in step.sources]
    names += [source for step in steps if isinstance(step, Install) for source in step.mounted.values()]
    found = dict.fromkeys(one for name in names for one in _pattern(root, posixpath.normpath(f"/{name}").strip("/")))
    return ("**",) if "**" in found else tuple(found)


def _pattern(root: Path, name: str) -> Iterator[str]:
    while is_pattern(name):
        name = posixpath.dirname(name)
        if not is_pattern(name):
            yield f"{name}/**" if name else "**"
            return
    if not name:
        yield "**"
    elif (root / name).is_dir():
        yield f"{name}/**"
    elif (root / name).exists():
        yield name


def _above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
