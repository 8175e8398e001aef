"""Where blobs come from that are sent: a layout, or files that are packed while they travel."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from shipway.oci.descriptor import Descriptor
from shipway.oci.index import Index


class Outgoing(Protocol):
    """The methods of :class:`shipway.oci.Layout` that a push needs. All raise Corrupt for a blob that is damaged."""

    def index(self) -> Index:
        """Entries that say where they were pushed (:mod:`shipway.oci.pushed`): to mount from there."""
        ...

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """The verified bytes of a small blob."""
        ...

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        """A blob as a stream; at the end of the block its digest is checked."""
        ...

    def open_unverified(self, descriptor: Descriptor) -> AbstractContextManager[BinaryIO]:
        """A blob to read from anywhere on (``seek`` once, then ``read``); the registry verifies it."""
        ...
