"""The folder that a Dockerfile's COPYs speak of, as .dockerignore and the rules for images leave it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from shipway.image.context import LeftOut, context
from shipway.image.dockerfile.ground import Found, above
from shipway.image.dockerfile.matching import is_pattern, start
from shipway.image.dockerfile.meaning import Copy, Install, Step

NOT_IN = "!pylock.*.toml"  # the lock says what is in the image, and would change it


class FolderOrigin:
    """Its files and folders, as a place to copy from."""

    def __init__(
        self, files: dict[str, Found], folders: Iterable[str], notes: tuple[str, ...], left_out: tuple[LeftOut, ...]
    ) -> None:
        self.notes, self.left_out = notes, left_out
        self._files = files
        self._folders = {"", *folders, *(parent for name in files for parent in above(name))}

    @classmethod
    def read(
        cls, root: Path, chosen: Sequence[str], allow: Sequence[str], dockerfile: str, scanned: Path
    ) -> FolderOrigin:
        """What the patterns choose. Raises as :func:`shipway.image.context.context`."""
        patterns = [one for one in chosen if not one.endswith("/**") or _has_files(root / one[:-3])]
        if not patterns:
            return cls({}, _folders(root, chosen, ()), (), ())
        name = posixpath.basename(dockerfile)
        found = context(root, (*patterns, NOT_IN), allow, dockerfile=name, scanned=scanned)
        files = {one.name: Found(one.name, "file", one.executable, content=one.path) for one in found.files}
        return cls(files, _folders(root, chosen, found.left_out), found.notes, found.left_out)

    def find(self, path: str) -> Found | None:
        return self._files.get(path) or (Found(path, "folder") if path in self._folders else None)

    def below(self, folder: str) -> Iterator[Found]:
        within = f"{folder}/" if folder else ""
        yield from (one for name, one in self._files.items() if name.startswith(within))
        yield from (Found(name, "folder") for name in self._folders if name and name.startswith(within))


def patterns(root: Path, steps: Sequence[Step]) -> tuple[str, ...]:
    """Which files of the folder the steps can want, as patterns of a snapshot: what no COPY names is not looked at."""
    names = [source for step in steps if isinstance(step, Copy) and step.origin is None for source in step.sources]
    names += [source for step in steps if isinstance(step, Install) for source in step.mounted.values()]
    found = dict.fromkeys(one for name in names for one in _pattern(root, posixpath.normpath(f"/{name}").strip("/")))
    return ("**",) if "**" in found else tuple(found)


def _pattern(root: Path, name: str) -> Iterator[str]:
    if is_pattern(name):
        yield f"{start(name)}/**".lstrip("/")
    elif not name:
        yield "**"
    elif (root / name).is_dir():
        yield f"{name}/**"
    elif (root / name).exists():
        yield name


def _folders(root: Path, chosen: Sequence[str], left_out: Sequence[LeftOut]) -> Iterator[str]:
    """Folders that the patterns choose; Docker copies also those without a file."""
    out = {one.name for one in left_out}
    for top in (one.removesuffix("**").rstrip("/") for one in chosen if one.endswith("**")):
        if not out.isdisjoint((top, *above(top))):
            continue
        for folder, names, _ in os.walk(root / top):
            within = Path(folder).relative_to(root)
            names[:] = [name for name in names if (within / name).as_posix() not in out]
            yield "" if within == Path() else within.as_posix()


def _has_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
