"""The merged file system of an image's layers, to look at and to read from: nothing is unpacked.

As overlayfs merges, which Docker, podman and containerd use: a folder in a layer hides a link of that name in a lower
one, where a program that unpacks layer over layer would write through the link. Links are followed inside the root.
Source: OCI image-spec v1.1.1, layer.md ("Whiteouts", "Applying Changesets").
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import Corrupt, NotFound, Refused
from shipway.image import listing
from shipway.image.listing import LIMITS
from shipway.image.tree import Kind, Node, Tree
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Content, Limits, Readable

_MOST_LAYERS = 500  # overlayfs of Linux takes as many


@dataclass(frozen=True, slots=True)
class Stat:
    """What stands at a path; ``path`` is absolute in the image without the leading slash, the root is ``""``."""

    path: str
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str = ""  # of a symbolic link, as it stands there
    digest: Digest | None = None  # of a file's content
    layer: int = -1  # which layer it came from, the lowest is 0; -1: a folder that no layer names


class View:
    """An image's files. Blocking; the first look at a layer reads all of it, once."""

    def __init__(
        self, layout: Layout, layers: Sequence[Descriptor], cache: Path | None = None, limits: Limits = LIMITS
    ) -> None:
        """``cache`` (HOME/cache/image/views) keeps what is in a layer, by its digest.

        Raises Refused for what is no layer, and for what no honest layer holds; Corrupt.
        """
        if len(layers) > _MOST_LAYERS:
            raise Refused(f"the image has {len(layers)} layers: at most {_MOST_LAYERS} can be mounted")
        self._layout, self._layers, self._limits = layout, tuple(layers), limits
        self._tree = Tree(limits.members)
        for layer in self._layers:
            self._tree.add(listing.of_layer(layout, layer, cache, limits))

    def paths(self) -> Iterator[str]:
        """All paths but the root's, sorted by their parts."""
        return (one.path for one in self.walk())

    def walk(self, folder: str = "") -> Iterator[Stat]:
        """All below a folder, sorted by the parts of their paths; links are not followed. Raises NotFound."""
        path, node = self._folder(folder)
        return (_stat(_joined(path, name), below) for name, below in node.below())

    def children(self, folder: str) -> tuple[Stat, ...]:
        """What is in a folder itself, sorted by name. Raises NotFound."""
        path, node = self._folder(folder)
        return tuple(_stat(_joined(path, name), node.children[name]) for name in sorted(node.children))

    def stat(self, path: str) -> Stat:
        """What is there, links followed; ``Stat.path`` is the path without links. Raises NotFound."""
        return _stat(*self._located(path))

    def find(self, path: str, *, follow: bool = True) -> Stat | None:
        """As :meth:`stat`, None where nothing is; ``follow=False``: the link itself. Raises Refused for a cycle."""
        found = self._tree.locate(path, follow=follow)
        return None if found is None else _stat(*found)

    def read(self, path: str, limit: int) -> bytes:
        """A file's content. Raises NotFound, Refused when it has more than ``limit`` bytes or is no file, Corrupt."""
        found = self.stat(path)
        if found.size > limit:
            raise Refused(f"{path!r} in the image has {found.size} bytes: at most {limit} are read")
        with self.open(path) as stream:
            return b"".join(iter(lambda: stream.read(CHUNK), b""))

    @contextmanager
    def open(self, path: str) -> Iterator[Readable]:
        """A file's content as a stream. Raises NotFound, Refused when it is no file, Corrupt at its end."""
        with closing(self.contents((path,))) as found:
            yield next(found)[1]

    def contents(self, paths: Iterable[str]) -> Generator[tuple[Stat, Readable]]:
        """Many files in one pass over each layer that has some, in the layers' order; read each before the next.

        Links are followed, and what two paths lead to comes for both. Raises NotFound and Refused before the first.
        """
        wanted: dict[int, dict[int, list[Stat]]] = {}
        for one in paths:
            path, node = self._located(one)
            if node.kind != "file":
                raise Refused(f"{one!r} in the image is a {node.kind}, not a file")
            wanted.setdefault(node.layer, {}).setdefault(node.member, []).append(_stat(path, node))
        return self._passes(wanted)

    def _passes(self, wanted: dict[int, dict[int, list[Stat]]]) -> Generator[tuple[Stat, Readable]]:
        for number in sorted(wanted):
            left = wanted[number]
            while left:  # a file with two names is read twice
                yield from self._pass(number, {member: stats.pop() for member, stats in left.items()})
                left = {member: stats for member, stats in left.items() if stats}

    def _pass(self, number: int, wanted: dict[int, Stat]) -> Iterator[tuple[Stat, Readable]]:
        layer = self._layers[number]
        last = max(wanted)
        # All of it was verified when it was listed; now each file is, and the rest of the layer need not be read.
        with self._layout.open_unverified(layer) as blob:
            for at, (_, content) in enumerate(listing.read(blob, layer, self._limits)):
                if stat := wanted.get(at):
                    yield stat, _Verified(content, stat)
                if at == last:
                    return
        raise Corrupt(f"layer {layer.digest} in {self._layout.root} does not hold what it held when it was listed")

    def _folder(self, path: str) -> tuple[str, Node]:
        found = self._located(path)
        if found[1].kind != "folder":
            raise NotFound(f"{path!r} is no folder in the image")
        return found

    def _located(self, path: str) -> tuple[str, Node]:
        found = self._tree.locate(path)
        if found is None:
            raise NotFound(f"there is no {path!r} in the image")
        return found


class _Verified:
    """A file's content that is Corrupt at its end when it is not what it was."""

    def __init__(self, content: Content, stat: Stat) -> None:
        self._content, self._stat = content, stat
        self._hasher = hashlib.sha256()

    def read(self, size: int = CHUNK, /) -> bytes:
        data = self._content.read(size)
        self._hasher.update(data)
        if not data and f"sha256:{self._hasher.hexdigest()}" != self._stat.digest:
            raise Corrupt(f"{self._stat.path!r} is not what it was when its layer was listed")
        return data


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _stat(path: str, node: Node) -> Stat:
    digest = Digest(node.digest) if node.digest else None
    return Stat(path, node.kind, node.size, node.executable, node.target, digest, node.layer)
