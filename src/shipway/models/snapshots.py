"""Source and input snapshots: a tar, kept as a one-layer OCI artifact under the digest of its bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO

from shipway.errors import NotFound
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Digest, Index, Layout, Manifest
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Content
from shipway.oci.unpack import files

ARTIFACT_TYPE = "application/vnd.shipway.source.v1"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"  # so that the same blob can be a layer of an image

_TAG = re.compile(r"source/([0-9a-f]{64})")


def tag_of(digest: Digest) -> str:
    """The tag that keeps a snapshot reachable. No model's tag has a slash."""
    return f"source/{digest.hex}"


class Snapshots:
    """The snapshots of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def has(self, digest: str) -> bool:
        """Whether the snapshot is there; then it counts as new, and is not collected before somebody could use it.

        Raises UserError when ``digest`` is none.
        """
        wanted = Digest(digest)
        with self._layout.edit() as edit:  # nothing changes: but no tag goes between the answer and the new date
            return self._holds(edit.index, wanted) and self._layout.touch(wanted)

    def store(self, digest: str, file: BinaryIO) -> str:
        """Keep a tar from a stream; its digest. Idempotent. Raises UserError when the bytes have another digest."""
        wanted = Digest(digest)
        with self._layout.lease(f"keep the snapshot {wanted}") as lease:
            blob = self._layout.put_blob(file, LAYER_TYPE, expected=wanted, lease=lease)
            self._layout.put_blob(EMPTY_CONFIG_BYTES, lease=lease)
            manifest = self._layout.put_manifest(Manifest(EMPTY_CONFIG, (blob,), ARTIFACT_TYPE), lease=lease)
            with self._layout.edit() as edit:
                if not self._holds(edit.index, wanted):
                    edit.index = edit.index.with_tag(tag_of(wanted), manifest)
        return wanted

    def all(self) -> Mapping[Digest, datetime]:
        """Each snapshot, and when somebody last sent it or asked for it."""
        found = (match for tag in self._layout.tags() if (match := _TAG.fullmatch(tag)))
        dated = ((digest, self._layout.touched(digest)) for digest in (Digest(f"sha256:{one[1]}") for one in found))
        return {digest: at for digest, at in dated if at is not None}

    def forget(self, goes: Callable[[Mapping[Digest, datetime]], Iterable[Digest]]) -> tuple[Digest, ...]:
        """Untag the snapshots that ``goes`` chooses of :meth:`all`; nobody can ask for one meanwhile."""
        with self._layout.edit() as edit:
            gone = tuple(goes(self.all()))
            edit.index = edit.index.without_tags({tag_of(one) for one in gone})
        return gone

    def files(self, digest: str) -> dict[str, tuple[str, int]]:
        """The files of a snapshot, name to sha256 of the content and bytes. Raises NotFound when it is gone."""
        with self._opened(digest) as opened:
            return {name: _sha256(content) for name, content in opened}

    def texts(self, digest: str, names: Container[str], largest: int) -> dict[str, bytes]:
        """The content of these files, of each at most ``largest`` + 1 bytes. Raises NotFound when it is gone."""
        with self._opened(digest) as opened:
            return {name: _head(content, largest + 1) for name, content in opened if name in names}

    @contextmanager
    def _opened(self, digest: str) -> Iterator[Iterator[tuple[str, Content]]]:
        """Its files one after the other: each is to be read before the next one."""
        manifest = self._layout.index().tags.get(tag_of(Digest(digest)))
        if manifest is None:
            raise NotFound(f"the snapshot {digest} is not kept any more")
        [layer] = self._layout.read_manifest(manifest).layers
        with self._layout.open_blob(layer) as blob:
            yield ((member.name, content) for member, content in files(blob, layer.media_type))

    def _holds(self, index: Index, digest: Digest) -> bool:
        return tag_of(digest) in index.tags


def _sha256(content: Content) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    while data := content.read(CHUNK):
        hasher.update(data)
        size += len(data)
    return hasher.hexdigest(), size


def _head(content: Content, size: int) -> bytes:
    head = b""
    while len(head) < size and (data := content.read(size - len(head))):
        head += data
    return head
