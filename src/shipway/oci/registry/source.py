"""A blob of the layout as the body of a request: read ahead by one piece, watched while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import BinaryIO, Final, Self

from shipway.errors import Corrupt
from shipway.oci.descriptor import Descriptor
from shipway.oci.registry.outgoing import Outgoing
from shipway.oci.registry.threads import in_thread

_PIECE: Final = 1 << 20  # bytes


class Source:
    """The bytes from ``start`` to ``end``. They are not verified here: the registry does it, and asks for the digest.

    ``sent`` is called with how far it is, whenever the connection takes another piece.
    """

    def __init__(
        self, layout: Outgoing, descriptor: Descriptor, start: int, end: int, sent: Callable[[int], None]
    ) -> None:
        self._layout = layout
        self._descriptor = descriptor
        self._start = start
        self._end = end
        self._sent = sent
        self._ahead: asyncio.Task[bytes] | None = None
        self._opened = ExitStack()
        self._file: BinaryIO

    async def __aenter__(self) -> Self:
        try:
            self._file = await in_thread(self._open)
        except BaseException:  # cancelled, too, when it was open already
            self._opened.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            if self._ahead is not None:
                self._ahead.cancel()
                await asyncio.wait({self._ahead})  # its thread reads the file that is closed next
        finally:
            self._opened.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at = self._start
        self._read(at)
        while at < self._end:
            assert self._ahead is not None
            piece = await asyncio.shield(self._ahead)
            if not piece:
                raise Corrupt(f"blob {self._descriptor.digest} was cut while it was sent", next_step="Try again.")
            at += len(piece)
            self._read(at)
            yield piece
            self._sent(at)

    def _open(self) -> BinaryIO:
        file = self._opened.enter_context(self._layout.open_unverified(self._descriptor))
        file.seek(self._start)
        return file

    def _read(self, at: int) -> None:
        count = min(_PIECE, self._end - at)
        self._ahead = asyncio.ensure_future(in_thread(self._file.read, count)) if count else None
