"""The garbage collection of a layout: what is reachable stays, the rest goes.

What counts as a reference is generous: every digest that stands in a reachable JSON blob, wherever it stands, keeps the
blob of that name. So artifacts of other tools keep what they need, though nobody here can read them, and a version
keeps the snapshot that its lineage names. Roots are the entries of ``index.json``, tagged or not, and what the leases
hold. A list of referrers (:mod:`shipway.oci.referrers`) is a root while its subject is reachable.

A reachable manifest whose bytes are damaged may have named anything: then nothing is deleted. Why nothing goes that
somebody needs, and what a kill leaves behind, is told in :mod:`shipway.oci.leases`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from shipway.errors import Corrupt
from shipway.oci import disk, fetching, referrers
from shipway.oci.blobs import Blobs
from shipway.oci.digest import CHUNK, Digest
from shipway.oci.index import REF_NAME, Index
from shipway.oci.layout import Layout

_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_LENGTH = 71  # bytes of a digest
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
        lists = {tag: (subject, entry.digest) for tag, subject, entry in referrers.listed(index)}
        roots = [entry.digest for entry in index.manifests if entry.annotations.get(REF_NAME) not in lists]
        for root in roots:
            if self._blobs.size(root) is None:
                raise _unknown(root, "missing")
        found: set[Digest] = set()
        waiting = [*held, *roots]
        while waiting:
            self._walk(waiting, found)
            # A signature may itself be signed: its list counts once it was reached.
            waiting = [entry for subject, entry in lists.values() if subject in found and entry not in found]
        return found

    def _walk(self, waiting: Iterable[Digest], found: set[Digest]) -> None:
        rest = [one for one in waiting if one not in found]
        found.update(rest)
        while rest:
            for one in self._names(rest.pop()):
                if one not in found:
                    found.add(one)
                    rest.append(one)

    def _names(self, digest: Digest) -> tuple[Digest, ...]:
        known = self._named.get(digest)
        if known is None:
            known = self._read(digest)
            if known is None:
                return ()  # an index may name what was never fetched, or a lease what comes soon: look again then
            self._named[digest] = known
        return known

    def _read(self, digest: Digest) -> tuple[Digest, ...] | None:
        found: dict[bytes, None] = {}
        hasher, tail = hashlib.sha256(), b""
        reading = disk.faults(f"read {self._blobs.path(digest)}", unless=FileNotFoundError)
        try:
            with reading, self._blobs.open(digest) as content:
                # Not the media type: whoever wrote a manifest could say of another's that it is a picture.
                if content.read(1) not in (b"{", b"["):
                    return ()
                content.seek(0)
                while piece := content.read(CHUNK):
                    hasher.update(piece)
                    found.update(dict.fromkeys(_DIGEST.findall(tail + piece)))
                    tail = piece[1 - _LENGTH :]
        except FileNotFoundError:
            return None
        if hasher.hexdigest() != digest.hex:
            raise _unknown(digest, "damaged")
        return tuple(Digest(one.decode()) for one in found)


def garbage(layout: Layout, marks: Marks, index: Index | None = None) -> Garbage:
    """What would go, of the layout as it is or (with ``index``) as it might be. Changes nothing.

    Raises Corrupt when a manifest is damaged.
    """
    index, held = index or layout.index(), layout.leases.held()
    reachable = marks.reachable(index, held)
    return Garbage(
        blobs={digest: size for digest, size in layout.blobs.all() if digest not in reachable},
        partials=fetching.sweep(layout.partials, held.keys(), dry=True),
        lists=_dangling(index, reachable),
    )


def sweep(layout: Layout, marks: Marks) -> Garbage:
    """Delete what nothing refers to; what went. Others may read and write meanwhile; killed anywhere, do it again.

    Raises Corrupt when a manifest is damaged: then nothing is deleted.
    """
    # Before anybody has to wait: the long look, and the list. What is written from here on is no candidate.
    marks.reachable(layout.index(), layout.leases.held())
    candidates = sorted(layout.blobs.all())
    lists = _drop_lists(layout, marks)
    blobs: dict[Digest, int] = {}
    for start in range(0, len(candidates), _AT_ONCE):
        # Nothing is changed in the index: it is only kept from changing.
        with layout.edit() as edit, layout.leases.standing_still():
            # A list that came since counts, whatever became of its subject.
            held = {*layout.leases.held(), *(entry.digest for _, _, entry in referrers.listed(edit.index))}
            reachable = marks.reachable(edit.index, held)
            for digest, size in candidates[start : start + _AT_ONCE]:
                if digest not in reachable:
                    layout.blobs.remove(digest)
                    blobs[digest] = size
    layout.leases.sweep()
    layout.sweep_temporaries()
    return Garbage(blobs, fetching.sweep(layout.partials, layout.leases.held().keys()), lists)


def _drop_lists(layout: Layout, marks: Marks) -> tuple[str, ...]:
    # Written before any blob goes: killed in between, no tag is left without its blob.
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
