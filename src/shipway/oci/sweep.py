"""The garbage collection of a layout: what is reachable stays, the rest goes.

What counts as a reference is generous: every digest that stands in a reachable JSON blob, wherever it stands, keeps the
blob of that name. So artifacts of other tools keep what they need, though nobody here can read them, and a version
keeps the snapshot that its lineage names. What is larger than any manifest is content, and not looked at. Roots are the
entries of ``index.json``, tagged or not, and what the leases hold. A list of referrers (:mod:`shipway.oci.referrers`)
is a root while its subject is reachable.

A reachable manifest whose bytes are damaged may have named anything: then nothing is deleted. Why nothing goes that
somebody needs, and what a kill leaves behind, is told in :mod:`shipway.oci.leases`.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from shipway.errors import Corrupt
from shipway.oci import disk, fetching, referrers
from shipway.oci.blobs import Blobs
from shipway.oci.digest import Digest
from shipway.oci.index import REF_NAME, Index
from shipway.oci.layout import Layout
from shipway.oci.manifest import LARGEST_MANIFEST

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_AT_ONCE = 500  # blobs that are deleted while writers wait: some milliseconds


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing refers to, or what was deleted; sizes are bytes on the disk."""

    blobs: Mapping[Digest, int] = field(default_factory=dict)
    partials: Mapping[str, int] = field(default_factory=dict)  # of fetches that nobody resumed
    lists: tuple[str, ...] = ()  # tags of lists of referrers whose subject is gone

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(self.blobs.values()) + sum(self.partials.values())


class Marks:
    """Remembers what each blob refers to: blobs never change, so a second look at the same layout is quick."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._named: dict[Digest, tuple[Digest, ...]] = {}

    def reachable(self, index: Index, held: Collection[Digest] = ()) -> Set[Digest]:
        """The digests that the index and the leases lead to, with those whose blob is not here.

        Raises Corrupt when a manifest that leads on is damaged, EnvironmentFault.
        """
        with disk.faults(f"read the blobs in {self._blobs.folder}"):
            return self._reachable(index, held)

    def _reachable(self, index: Index, held: Collection[Digest]) -> Set[Digest]:
        lists = {tag: (subject, entry.digest) for tag, subject, entry in referrers.listed(index)}
        roots = [entry.digest for entry in index.manifests if entry.annotations.get(REF_NAME) not in lists]
        # One look at the folder: thousands of names lead to nothing that is here, and each would be looked for.
        there = self._blobs.names()
        for root in roots:
            if root not in there:
                raise _unknown(root, "missing")
        found: set[Digest] = set()
        waiting = [*held, *roots]
        while waiting:
            self._walk(waiting, found, there)
            # A signature may itself be signed: its list counts once it was reached.
            waiting = [entry for subject, entry in lists.values() if subject in found and entry not in found]
        return found

    def forget(self, digest: Digest) -> None:
        """The blob is gone."""
        self._named.pop(digest, None)

    def _walk(self, waiting: Iterable[Digest], found: set[Digest], there: Set[str]) -> None:
        rest = [one for one in waiting if one not in found]
        found.update(rest)
        while rest:
            for one in self._names(rest.pop(), there):
                if one not in found:
                    found.add(one)
                    rest.append(one)

    def _names(self, digest: Digest, there: Set[str]) -> tuple[Digest, ...]:
        known = self._named.get(digest)
        if known is None:
            # An index may name what was never fetched, or a lease what comes soon: it is looked for again then.
            known = self._read(digest) if digest in there else None
            if known is None:
                return ()
            self._named[digest] = known
        return known

    def _read(self, digest: Digest) -> tuple[Digest, ...] | None:
        try:
            with self._blobs.open(digest) as content:
                # Not the media type: whoever wrote a manifest could say of another's that it is a picture.
                if content.read(1) not in (b"{", b"[") or content.seek(0, os.SEEK_END) > LARGEST_MANIFEST:
                    return ()
                content.seek(0)
                data = io.BufferedReader(content).read()
        except FileNotFoundError:
            return None
        if Digest.of(data) != digest:
            raise _unknown(digest, "damaged")
        return tuple(Digest(one.decode()) for one in dict.fromkeys(_DIGEST.findall(data)))


def garbage(layout: Layout, marks: Marks, index: Index | None = None) -> Garbage:
    """What would go, of the layout as it is or (with ``index``) as it might be. Changes nothing.

    Raises Corrupt when a manifest is damaged.
    """
    held: Collection[Digest] = layout.leases.held()
    if index is None:
        index, held, reachable = _looked(layout, marks, lambda _: layout.leases.held())
    else:
        reachable = marks.reachable(index, held)
    return Garbage(
        blobs={digest: size for digest, size in layout.blobs.all() if digest not in reachable},
        partials=fetching.sweep(layout.partials, held, dry=True),
        lists=_dangling(index, reachable),
    )


def sweep(layout: Layout, marks: Marks) -> Garbage:
    """Delete what nothing refers to; what went. Others may read and write meanwhile; killed anywhere, do it again.

    Raises Corrupt when a manifest is damaged: then nothing is deleted.
    """
    lists = _drop_lists(layout, marks)
    # Before anybody has to wait: the long look, and the list. What becomes garbage from here on is the next run's.
    index, held, reachable = _looked(layout, marks, lambda index: _held(layout, index))
    seen = (index, held)
    candidates = sorted((digest, size) for digest, size in layout.blobs.all() if digest not in reachable)
    blobs: dict[Digest, int] = {}
    for start in range(0, len(candidates), _AT_ONCE):
        # Nothing is changed in the index: it is only kept from changing.
        with layout.edit() as edit, layout.leases.standing_still():
            if (now := (edit.index, _held(layout, edit.index))) != seen:
                seen, reachable = now, marks.reachable(*now)
            for digest, size in candidates[start : start + _AT_ONCE]:
                if digest not in reachable:
                    layout.blobs.remove(digest)
                    marks.forget(digest)
                    blobs[digest] = size
    layout.leases.sweep()
    layout.sweep_temporaries()
    return Garbage(blobs, fetching.sweep(layout.partials, layout.leases.held().keys()), lists)


def _looked(
    layout: Layout, marks: Marks, holding: Callable[[Index], Collection[Digest]]
) -> tuple[Index, Collection[Digest], Set[Digest]]:
    """The index, what counts beside it, and all that both lead to, while nobody is kept from changing them.

    Another process may take a tag away and collect between our look at the index and at the blobs: what is missing by
    an index that is the old one by now is no damage, and is looked for again.
    """
    while True:
        index = layout.index()
        held = holding(index)
        try:
            return index, held, marks.reachable(index, held)
        except Corrupt:
            if layout.index() == index:
                raise


def _held(layout: Layout, index: Index) -> Set[Digest]:
    """What counts beside the tags: also each list of referrers that came since the others were dropped."""
    return {*layout.leases.held(), *(entry.digest for _, _, entry in referrers.listed(index))}


def _drop_lists(layout: Layout, marks: Marks) -> tuple[str, ...]:
    # Written before any blob goes: killed in between, no tag is left without its blob. Looked at before, unlocked:
    # what every blob names is known then, and writers wait for some milliseconds only.
    index, _, reachable = _looked(layout, marks, lambda _: layout.leases.held())
    if not _dangling(index, reachable):
        return ()
    with layout.edit() as edit, layout.leases.standing_still():
        gone = _dangling(edit.index, marks.reachable(edit.index, layout.leases.held()))
        for tag in gone:
            edit.index = edit.index.without_tag(tag)
    return gone


def _dangling(index: Index, reachable: Set[Digest]) -> tuple[str, ...]:
    return tuple(tag for tag, subject, _ in referrers.listed(index) if subject not in reachable)


def _unknown(digest: Digest, how: str) -> Corrupt:
    return Corrupt(
        f"the blob {digest} is {how}: what it refers to cannot be known, so nothing is deleted",
        next_step="Stop the hub: `shipway hub repair` names what needs it.",
    )
