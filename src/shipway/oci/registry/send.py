"""One blob goes: not at all when it is there, mounted when a neighbour has it, else streamed, and resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp

from shipway.errors import RegistryRefused
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.label import label
from shipway.oci.registry import errors, headers, location, upload
from shipway.oci.registry.outgoing import Outgoing
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.source import Source
from shipway.oci.registry.threads import in_thread
from shipway.oci.registry.transport import Failed, Request
from shipway.oci.registry.upload import Next, Session, Told
from shipway.transfer import THERE, Progress

_OCTETS = {"Content-Type": "application/octet-stream"}
_GOES_ON = frozenset({201, 202, 204})


@dataclass(slots=True)
class _Upload:
    """Where an upload is. ``next`` is set before a request is sent: to what is to be done when it breaks."""

    descriptor: Descriptor
    next: Next = Next.RESTART
    session: Session | None = None
    whole: bool = False  # PUT carries all of it
    chunk: int = 0
    begun: bool = False
    mount: str = ""  # the repository to mount from
    note: str = ""
    kept: int = 0  # bytes that the registry said it has: the most of all tries


class Sender:
    """Sends blobs of a layout to a repository. ``origins``: which other repository of the registry has which."""

    def __init__(self, repository: Repository, layout: Outgoing, origins: Mapping[Digest, str]) -> None:
        self._repository = repository
        self._transport = repository.transport
        self._layout = layout
        self._origins = origins

    async def send(self, descriptor: Descriptor) -> None:
        """See that the repository has the blob. Raises Corrupt when ours is damaged, and what a registry raises."""
        if await self._is_there(descriptor):
            self._tell(descriptor, descriptor.size, THERE)
            return
        limits = self._repository.limits
        state = _Upload(
            descriptor,
            whole=descriptor.size <= limits.small,
            chunk=limits.chunk,
            mount=self._origins.get(descriptor.digest, ""),
        )
        try:
            await self._transport.persist(lambda: self._go_on(state), lambda: state.kept)
        except RegistryRefused as error:
            if "DIGEST_INVALID" in error.diagnosis:
                await in_thread(self._verify, descriptor)
            raise
        self._tell(descriptor, descriptor.size, state.note)

    async def _is_there(self, descriptor: Descriptor) -> bool:
        url = self._repository.blob(descriptor.digest)
        answer = await self._transport.answer(self._repository.request("HEAD", url), {200, 404})
        size = headers.count(answer.headers.get("Content-Length", ""))
        if answer.status == 200 and size not in (None, descriptor.size):
            raise errors.broken("HEAD", url, f"the registry has {size} bytes under a digest of {descriptor.size} bytes")
        return answer.status == 200

    async def _go_on(self, state: _Upload) -> None:
        """Step after step, until it is done or a step fails."""
        while state.next is not Next.DONE:
            if state.next is Next.WHOLE:
                state.whole, state.next = True, Next.RESTART
            if state.next is Next.RESTART or state.session is None:
                await self._begin(state)
            elif state.next is Next.ASK:
                await self._ask(state, state.session)
            elif state.whole or state.session.offset == state.session.size:
                await self._end(state, state.session)
            else:
                await self._patch(state, state.session)

    async def _begin(self, state: _Upload) -> None:
        state.next = Next.RESTART
        if state.begun and await self._is_there(state.descriptor):  # a PUT whose answer was lost
            state.next = Next.DONE
            return
        mount, state.mount, state.begun = state.mount, "", True
        url = self._repository.url("blobs/uploads/")
        request = self._repository.request("POST", url, {"Content-Length": "0"})
        if mount:
            wanted = f"{url}?mount={state.descriptor.digest}&from={mount}"
            request = self._repository.also(mount).request("POST", wanted, {"Content-Length": "0"})
        try:
            async with self._transport.good(request, {201, 202}) as response:
                told = self._told(request, response)
                least = response.headers.get("OCI-Chunk-Min-Length", "")
                state.next, state.session = upload.begun(told, state.descriptor.size, state.chunk, least)
        except (Failed, RegistryRefused):
            if not mount:  # else: who may not read there can still send it
                raise
            return
        if state.next is Next.DONE:
            state.note = f"mounted from {mount}"

    async def _ask(self, state: _Upload, session: Session) -> None:
        request = self._repository.request("GET", session.url)
        async with self._transport.open(request) as response:
            state.next, state.session = upload.asked(session, self._told(request, response))
            if state.next is not Next.SEND:
                again = await self._transport.failed(request, response)
                raise again if state.next is Next.ASK else Failed(again.error)
        if state.session.offset > state.kept:
            state.kept = state.session.offset
            self._tell(state.descriptor, state.kept, f"resumed at {state.kept / 1e6:.1f} MB")

    async def _patch(self, state: _Upload, session: Session) -> None:
        state.next = Next.ASK
        end = session.end
        sent = {**_OCTETS, "Content-Length": str(end - session.offset)}
        if session.offset or end < session.size:
            sent["Content-Range"] = f"{session.offset}-{end - 1}"
        request = self._repository.request("PATCH", session.url, sent)
        async with self._streamed(request, state.descriptor, session.offset, end) as response:
            told = self._told(request, response)
            state.next, state.session = upload.sent(session, told)
            state.chunk = state.session.chunk
            if told.status not in _GOES_ON:
                failed = await self._transport.failed(request, response)
                raise failed if state.next is Next.REFUSED or failed.wanted else Failed(failed.error)
        if state.next is Next.SEND:
            state.kept = max(state.kept, state.session.offset)

    async def _end(self, state: _Upload, session: Session) -> None:
        state.next = Next.RESTART
        url = location.with_digest(session.url, state.descriptor.digest)
        limits = self._repository.limits
        if not state.whole or state.descriptor.size <= limits.small:
            data = await in_thread(self._layout.read_blob, state.descriptor) if state.whole else b""
            request = self._repository.request("PUT", url, _OCTETS, data, patience=limits.finish)
            opened = self._transport.open(request)
        else:
            request = self._repository.request("PUT", url, {**_OCTETS, "Content-Length": str(session.size)})
            opened = self._streamed(request, state.descriptor, 0, session.size)
        async with opened as response:
            state.next = upload.ended(self._told(request, response))
            if state.next is not Next.DONE:
                failed = await self._transport.failed(request, response)
                raise failed if state.next is Next.REFUSED or failed.wanted else Failed(failed.error)

    @asynccontextmanager
    async def _streamed(
        self, request: Request, descriptor: Descriptor, start: int, end: int
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request with these bytes of the blob; RegistryUnreachable when nothing moves for long."""
        limits, loop = self._repository.limits, asyncio.get_running_loop()

        def sent(at: int) -> None:
            # The last piece is taken: the registry may have to copy and to verify all of it before it answers.
            timer.reschedule(loop.time() + (limits.finish if at == end else limits.stall))
            self._tell(descriptor, min(at, descriptor.size - 1))

        try:
            async with (
                asyncio.timeout(limits.stall) as timer,
                Source(self._layout, descriptor, start, end, sent) as source,
                self._transport.open(replace(request, body=source)) as response,
            ):
                yield response
        except TimeoutError:
            raise errors.unreachable(request.method, request.url, f"nothing moved for {limits.stall:.0f} s") from None

    def _verify(self, descriptor: Descriptor) -> None:
        with self._layout.open_blob(descriptor):
            pass  # Corrupt at its end

    def _told(self, request: Request, response: aiohttp.ClientResponse) -> Told:
        where = response.headers.get("Location", "")
        url = location.follow(request.method, request.url, where) if where else request.url
        return Told(response.status, url, response.headers.get("Range", ""))

    def _tell(self, descriptor: Descriptor, done: int, note: str = "") -> None:
        self._repository.report(Progress(label(descriptor), done, descriptor.size, note))
