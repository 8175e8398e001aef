"""Layers as one tree: whiteouts, opaque folders, hard links, and links that are followed inside the root. Pure.

Source: OCI image-spec v1.1.1, layer.md ("Whiteouts", "Opaque Whiteout", "Applying Changesets").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shipway.errors import Refused
from shipway.image.listing import Listed

Kind = Literal["file", "folder", "link", "other"]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_RESERVED = ".wh..wh."  # what AUFS keeps for itself
_KINDS: dict[str, Kind] = {"file": "file", "folder": "folder", "symbolic link": "link"}
_MOST_LINKS = 40  # that Linux follows in one path
_MOST_STEPS = 4_096  # names in one path with all that its links add; a path of 40 links could ask for 80,000
_DISTRUST = "No tool writes such a layer: do not trust its source."


@dataclass(slots=True)
class Node:
    """A file, a folder with what is in it, a link, or another thing (a device, a fifo)."""

    kind: Kind
    layer: int = -1
    member: int = -1  # its number in the layer's tar; a hard link has that of the file
    size: int = 0
    executable: bool = False
    target: str = ""
    digest: str = ""
    children: dict[str, Node] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  # what of lower layers is not seen
    opaque: bool = False

    def below(self) -> Iterator[tuple[str, Node]]:
        """All below a folder with their paths from it, sorted by parts."""
        waiting = [(name, self.children[name]) for name in sorted(self.children, reverse=True)]
        while waiting:  # names of strangers can be deeper than Python's stack
            path, node = waiting.pop()
            yield path, node
            waiting.extend((f"{path}/{name}", node.children[name]) for name in sorted(node.children, reverse=True))


class Tree:
    """What the layers that were added show together."""

    def __init__(self, most: int) -> None:
        """``most``: members of all layers, and folders that only their names make; more are Refused."""
        self._root = Node("folder")
        self._left = most
        self._count = 0

    def add(self, listed: Sequence[Listed]) -> None:
        """One more layer, on top of the others. Raises Refused."""
        upper = Node("folder")
        for member, one in enumerate(listed):
            self._count_one(one.name)
            self._place(upper, one, member)
        _merge(self._root, upper)
        self._count += 1

    def locate(self, path: str, *, follow: bool = True) -> tuple[str, Node] | None:
        """What is at a path, and its path without links; None where nothing is. Raises Refused for a cycle."""
        found = _walk(self._root, path, follow=follow)
        return None if found is None else ("/".join(name for name, _ in found), found[-1][1] if found else self._root)

    def _place(self, upper: Node, one: Listed, member: int) -> None:
        folder, _, name = one.name.rpartition("/")
        if not name:  # the root itself
            return
        if any(part.startswith(_WHITEOUT) for part in folder.split("/")):
            raise Refused(f"the layer has a folder with a reserved name: {one.name!r}", next_step=_DISTRUST)
        parent = self._parent(upper, folder)
        if name == _OPAQUE:
            parent.opaque = True
        elif name.startswith(_RESERVED):
            return
        elif name.startswith(_WHITEOUT):
            hidden = name.removeprefix(_WHITEOUT)
            if hidden in ("", ".", ".."):
                raise Refused(f"the layer has a whiteout of nothing: {one.name!r}", next_step=_DISTRUST)
            parent.gone.add(hidden)
        else:
            self._put(upper, parent, name, one, member)

    def _put(self, upper: Node, parent: Node, name: str, one: Listed, member: int) -> None:
        if one.kind == "hard link":
            parent.children[name] = self._linked(upper, one)
            return
        kind = _KINDS.get(one.kind, "other")
        there = parent.children.get(name)
        if there is None or kind != "folder" or there.kind != "folder":
            there = parent.children[name] = Node(kind)
        there.layer, there.member = self._count, member
        there.size, there.executable, there.target, there.digest = one.size, one.executable, one.target, one.digest

    def _linked(self, upper: Node, one: Listed) -> Node:
        # Its target is a name of this archive, or of a layer below when only the name is new.
        for root in (upper, self._root):
            if (found := _walk(root, one.target, follow=False)) and found[-1][1].kind != "folder":
                return found[-1][1]
        raise Refused(f"{one.name!r} is a hard link to {one.target!r}, which is not there", next_step=_DISTRUST)

    def _parent(self, upper: Node, folder: str) -> Node:
        """The folder of a layer in which a member is, made where the layer does not name it."""

        def make() -> Node:
            self._count_one(folder)
            return Node("folder")

        path = _walk(upper, folder, make=make)
        node = path[-1][1] if path else upper
        if node.kind != "folder":
            raise Refused(f"the layer has {folder!r} as a folder and as a {node.kind}", next_step=_DISTRUST)
        return node

    def _count_one(self, name: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise Refused(f"the image has too many files and folders, the last is {name!r}", next_step=_DISTRUST)


def _walk(
    root: Node, path: str, *, follow: bool = True, make: Callable[[], Node] | None = None
) -> list[tuple[str, Node]] | None:
    """The names and nodes to a path, links followed inside the root; None where nothing is.

    ``make`` gives the folders that lack. Raises Refused for a cycle of links.
    """
    found: list[tuple[str, Node]] = []
    waiting = path.split("/")[::-1]
    links = steps = 0
    while waiting:
        steps += 1
        if steps > _MOST_STEPS:
            raise Refused(f"{path[:80]!r} in the image leads through more than {_MOST_STEPS} names")
        name = waiting.pop()
        if name in ("", "."):
            continue
        if name == "..":  # the root is its own parent
            del found[-1:]
            continue
        folder = found[-1][1] if found else root
        if folder.kind != "folder":
            if make is not None:
                raise Refused(f"the layer has {path!r} below a {folder.kind}", next_step=_DISTRUST)
            return None
        node = folder.children.get(name)
        if node is None:
            if make is None:
                return None
            node = folder.children[name] = make()
        if node.kind == "link" and (follow or any(waiting)):
            links += 1
            if links > _MOST_LINKS:
                raise Refused(f"{path!r} in the image leads through more than {_MOST_LINKS} links")
            if node.target.startswith("/"):
                found.clear()
            waiting.extend(node.target.split("/")[::-1])
        else:
            found.append((name, node))
    return found


def _merge(lower: Node, upper: Node) -> None:
    """What the upper folder shows over the lower one, in the lower."""
    waiting = [(lower, upper)]
    while waiting:
        old, new = waiting.pop()
        if new.layer >= 0:  # named by its layer, and not only a folder on the way
            old.layer, old.member = new.layer, new.member
        if new.opaque:
            old.children.clear()
        for name in new.gone:
            old.children.pop(name, None)
        for name, node in new.children.items():
            there = old.children.get(name)
            if there is not None and there.kind == node.kind == "folder":
                waiting.append((there, node))
            else:
                old.children[name] = node
