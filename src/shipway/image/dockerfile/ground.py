"""The file system of a stage while it is built: what COPY has placed, over the files of its base."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from shipway.errors import NotFound, Refused
from shipway.image.layer import Entry
from shipway.image.view import View
from shipway.oci.tar import Readable

_MOST_LINKS = 40  # that Linux follows in one path


@dataclass(frozen=True, slots=True)
class Found:
    """Something that COPY can take; ``path`` has no leading slash. ``content`` None: it is still in a layer."""

    path: str
    kind: Literal["file", "folder", "link"]
    executable: bool = False
    target: str = ""  # of a link, as it stands there
    content: Path | bytes | None = None
    mode: int | None = None  # that --chmod gave it in an earlier stage


class Origin(Protocol):
    """Where COPY takes files from."""

    def find(self, path: str) -> Found | None:
        """What is there, links followed; ``""`` is the root."""
        ...

    def below(self, folder: str) -> Iterator[Found]:
        """All below a folder, in no order, links not followed."""
        ...


class Ground:
    """What a stage shows: a base, and what was placed over it. As an origin: all that is in it."""

    def __init__(self, base: View | None, placed: Mapping[str, Entry]) -> None:
        """``base`` None: only what was placed, as for ``COPY --from`` of what pip would have installed."""
        self._base, self.placed = base, dict(placed)

    def resolve(self, path: str) -> str:
        """The path with the links of its folders and its own followed, as far as anything is there."""
        left, done, links = [*reversed(path.strip("/").split("/"))], "", 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            step = posixpath.normpath(f"/{done}/{part}").strip("/")
            target = self._link(step)
            if target is None:
                done = step
                continue
            links += 1
            if links > _MOST_LINKS:
                raise Refused(f"/{path} is a link that goes in a circle", next_step="Name another path.")
            done = "" if target.startswith("/") else done
            left += reversed(target.split("/"))
        return done

    def find(self, path: str) -> Found | None:
        real = self.resolve(path)
        if not real:
            return Found("", "folder")
        if real in self.placed:
            return _found(self.placed[real])
        stat = self._base.find(real) if self._base else None
        if stat is None and any(name.startswith(f"{real}/") for name in self.placed):
            return Found(real, "folder")  # without a base, the folders that are the base's are seen by what is in them
        if stat is None or stat.kind == "other":
            return None
        return Found(real, stat.kind, stat.executable, stat.target)

    def below(self, folder: str) -> Iterator[Found]:
        start = f"{folder}/" if folder else ""
        yield from (_found(one) for name, one in self.placed.items() if name.startswith(start))
        there = self._base.find(folder) if self._base else None
        if self._base is None or there is None or there.kind != "folder":
            return
        for stat in self._base.walk(there.path):
            if stat.path not in self.placed and stat.kind != "other":
                yield Found(stat.path, stat.kind, stat.executable, stat.target)

    def read(self, path: str, limit: int) -> bytes:
        """A file's content. Raises NotFound, and Refused when it has more bytes."""
        found = self.find(path)
        if found is None or found.content is None:
            if self._base is None:
                raise NotFound(f"there is no /{path}")
            return self._base.read(found.path if found else path.strip("/"), limit)
        if isinstance(found.content, bytes):
            return found.content
        if found.content.stat().st_size > limit:
            raise Refused(f"/{path} has more than {limit} bytes")
        return found.content.read_bytes()

    def copy(self) -> Ground:
        """The same, on which a stage goes on without a change to this one."""
        return Ground(self._base, self.placed)

    def own(self) -> Ground:
        """Only what was placed, without the base."""
        return Ground(None, self.placed)

    def contents(self, paths: Iterable[str]) -> Iterator[tuple[str, Readable]]:
        """The files of the base at these paths, each to be read before the next."""
        if self._base is not None:
            yield from ((stat.path, content) for stat, content in self._base.contents(paths))

    def place(self, entries: Iterable[Entry]) -> None:
        self.placed |= {one.name: one for one in entries}

    def _link(self, path: str) -> str | None:
        if path in self.placed:
            one = self.placed[path]
            return one.target if one.kind == "link" else None
        stat = self._base.find(path, follow=False) if self._base else None
        return stat.target if stat is not None and stat.kind == "link" else None


def _found(entry: Entry) -> Found:
    return Found(entry.name, entry.kind, entry.executable, entry.target, entry.content, entry.mode)


def above(name: str) -> Iterator[str]:
    """The folders that a name lies in, but for the root."""
    while name := posixpath.dirname(name):
        yield name
