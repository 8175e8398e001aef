"""One blob comes: in parts side by side, resumed where it broke, whole where a server knows no ranges."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp

from shipway.errors import Corrupt, RegistryBroken
from shipway.oci.descriptor import Descriptor
from shipway.oci.fetching import Fetch
from shipway.oci.label import label
from shipway.oci.layout import Layout
from shipway.oci.leases import Lease
from shipway.oci.registry import contents, errors, ranges
from shipway.oci.registry.ranges import Gap, Take
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.threads import in_thread
from shipway.oci.registry.together import together
from shipway.oci.registry.transport import Failed
from shipway.transfer import THERE, Progress

_BATCH: Final = 1 << 20  # bytes that are written at once
_MOST: Final = 256  # parts of one blob, however large it says that it is
_POLL: Final = 0.1  # seconds between two looks whether another process is done


class NoRanges(Exception):
    """The server does not give parts of this blob."""


class Fetcher:
    """Brings blobs of a repository into a layout. Of all blobs together, ``Limits.streams`` bodies are read at once."""

    def __init__(self, repository: Repository, layout: Layout, lease: Lease) -> None:
        self._repository = repository
        self._layout = layout
        self._lease = lease
        self._streams = asyncio.Semaphore(repository.limits.streams)

    async def fetch(self, descriptor: Descriptor) -> None:
        """Bring one blob, unless it is there. What came is kept for the next time, whatever happens.

        Raises RegistryUnreachable, RegistryRefused, RegistryBroken, and EnvironmentFault when the disk is full.
        """
        await in_thread(self._lease.hold, descriptor.digest)
        if self._layout.has_blob(descriptor):
            self._tell(descriptor, descriptor.size, THERE)
        elif (content := contents.embedded(descriptor)) is not None:
            await in_thread(self._layout.put_blob, content, lease=self._lease)
            self._tell(descriptor, descriptor.size)
        else:
            while (fetch := await in_thread(self._layout.fetch, descriptor, self._lease)) is None:
                self._tell(descriptor, 0, "another process fetches it")
                await asyncio.sleep(_POLL)
            try:
                await self._bring(fetch)
            finally:
                await in_thread(fetch.close)  # it may have to wait for the thread that hashes

    async def _bring(self, fetch: Fetch) -> None:
        if fetch.whole:
            self._tell(fetch.descriptor, fetch.descriptor.size, THERE)
            return
        resumed = fetch.kept
        if resumed:
            self._tell(fetch.descriptor, fetch.kept, f"resumed at {fetch.kept / 1e6:.1f} MB")
        limits = self._repository.limits
        try:
            gaps = fetch.missing(max(limits.part, fetch.descriptor.size // _MOST))
            await together((self._fill(fetch, gap) for gap in gaps), limits.parts)
        except NoRanges:
            await self._fill(fetch, (0, fetch.descriptor.size), ranged=False)
        try:
            await in_thread(fetch.finish)
        except Corrupt as error:  # not our disk is to blame: the file was written from what was sent just now
            if resumed and not fetch.kept:  # an earlier try had left what was wrong: it is gone, and all comes anew
                await self._bring(fetch)
                return
            url = errors.plain(self._repository.blob(fetch.descriptor.digest))
            raise RegistryBroken(f"GET {url}: {error.message}", next_step=error.next_step) from None
        self._tell(fetch.descriptor, fetch.descriptor.size)

    async def _fill(self, fetch: Fetch, gap: Gap, *, ranged: bool = True) -> None:
        """Bring what lacks between two bytes of the blob; begun again where it broke.

        Raises NoRanges when a range was asked for and the server knows none.
        """

        def left() -> tuple[Gap, ...]:
            return ranges.within(gap, fetch.missing())

        async def attempt() -> None:
            if lacking := left():
                await self._body(fetch, (lacking[0][0], gap[1]) if ranged else gap)

        await self._repository.transport.persist(attempt, lambda: -sum(end - start for start, end in left()))

    async def _body(self, fetch: Fetch, part: Gap) -> None:
        """One answer, whose body is this part of the blob. What of it is there already is not written again."""
        size, transport = fetch.descriptor.size, self._repository.transport
        start, end = part
        gap = part if part != (0, size) else None  # all of it is asked for without Range
        url = self._repository.blob(fetch.descriptor.digest)
        request = self._repository.request("GET", url, {"Range": ranges.header(gap)} if gap else {})
        async with self._streams, transport.good(request, {200, 206, 416} if gap else {200}) as response:
            said = response.headers.get("Content-Range", "")
            match ranges.take(gap, size, response.status, said, response.content_length):
                case Take.NO_RANGES:
                    raise NoRanges
                case Take.WRONG:
                    raise errors.broken("GET", url, f"it is not the blob of {size} bytes that was announced")
            at = start
            async for batch in _batches(response):
                if at + len(batch) > end:
                    raise errors.broken("GET", url, f"more bytes come than the {end - start} that were announced")
                await in_thread(fetch.write, batch, at)
                at += len(batch)
                self._tell(fetch.descriptor, min(fetch.kept, size - 1))
            if at < end:
                raise Failed(errors.broken("GET", url, f"the answer ended after {at - start} of {end - start} bytes"))

    def _tell(self, descriptor: Descriptor, done: int, note: str = "") -> None:
        self._repository.report(Progress(label(descriptor), done, descriptor.size, note))


async def _batches(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """A body in pieces that are worth a write of their own."""
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size >= _BATCH:
                yield b"".join(chunks)
                chunks, size = [], 0
    except (aiohttp.ClientError, TimeoutError, OSError):
        if chunks:  # what came before the break counts
            yield b"".join(chunks)
        raise
    if chunks:
        yield b"".join(chunks)
