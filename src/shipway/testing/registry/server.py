"""FakeRegistry: a registry for tests that is real from the socket on, and fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from shipway.oci import Digest
from shipway.testing.registry.answers import Answer
from shipway.testing.registry.asked import Asked
from shipway.testing.registry.auth import Auth
from shipway.testing.registry.contents import Holdings, InFolder, InMemory
from shipway.testing.registry.distribution import Distribution
from shipway.testing.registry.faults import Dropped, ExpiredToken, Fault
from shipway.testing.registry.log import Entry, Log, Requests
from shipway.testing.registry.quirks import PLAIN, Quirks
from shipway.testing.registry.serving import LOOPBACK, Serving
from shipway.testing.registry.traps import PATIENCE, Trap, Turn

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class FakeRegistry:
    """A registry on 127.0.0.1 that keeps OCI distribution-spec v1.1.1, in a thread of its own.

    ``with FakeRegistry() as registry`` works in synchronous and in asynchronous tests. What it holds is in memory, or
    with ``folder`` as files there. ``quirks`` make it another vendor's registry, ``auth`` asks who comes, and ``fail``
    lets single requests fail. ``requests`` tells what travelled.
    """

    def __init__(self, quirks: Quirks = PLAIN, *, auth: Auth | None = None, folder: Path | None = None) -> None:
        self._holdings = Holdings(InFolder(folder) if folder else InMemory())
        self._distribution = Distribution(self._holdings, quirks, auth)
        self._log = Log()
        self._traps: list[Trap] = []
        self._serving = Serving((self._on_registry, self._on_storage))

    def __enter__(self) -> Self:
        self._serving.start()
        self._distribution.blobs.storage = f"http://{LOOPBACK}:{self._serving.ports[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.stop()

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``, as references begin."""
        return f"{LOOPBACK}:{self._serving.ports[0]}"

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self.host}"

    # -- faults

    def fail(self, fault: Fault, *, method: str = "*", path: str = "*", times: int | None = None) -> Trap:
        """Let the next ``times`` requests fail (None: all until ``lift``) whose method and path are these; one that
        meets the fault unharmed, for its body is too short, does not count.

        ``*`` is any text, ``/`` too: ``*/blobs/*``. A request meets the first fault that is set for it.
        """
        trap = Trap(fault, method, path, times, self._call)
        self._traps.append(trap)
        return trap

    @contextmanager
    def down(self) -> Iterator[None]:
        """In the block nobody listens; connections are cut as if the registry were killed. It forgets nothing."""
        self._serving.stop()
        try:
            yield
        finally:
            self._serving.start()

    # -- what travelled

    def requests(self, method: str = "*", path: str = "*") -> Requests:
        """What was asked until now, in order; ``.sent`` and ``.received`` are the bytes of the bodies."""
        return self._log.requests(method, path)

    def forget(self) -> None:
        """Begin to count anew."""
        self._log.clear()

    def settle(self) -> None:
        """Until all clients are gone and what they had sent is answered: after it, counts and contents stand still."""
        self._serving.settle()

    def wait(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Until the condition, asked whenever something travelled, holds. Raises TimeoutError."""
        if not self._log.wait(condition, timeout):
            raise TimeoutError(f"it did not come about within {timeout:g} s")

    # -- what it holds

    def add_blob(self, repository: str, data: bytes, *, digest: Digest | None = None) -> Digest:
        """Put a blob there without a request; ``digest`` lets it lie."""
        return self._holdings.add_blob(repository, data, digest)

    def add_manifest(
        self,
        repository: str,
        manifest: bytes | Mapping[str, Any],
        *,
        tag: str | None = None,
        media_type: str = MANIFEST_TYPE,
        digest: Digest | None = None,
    ) -> Digest:
        """Put a manifest there without a request and without a look at it; ``digest`` lets it lie."""
        data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        return self._holdings.add_manifest(repository, data, media_type, tag, digest)

    def blob(self, repository: str, digest: str) -> bytes | None:
        """A blob that the repository has."""
        found = self._holdings.known(repository)
        return self._holdings.read(Digest(digest)) if found and digest in found.blobs else None

    def blobs(self, repository: str) -> frozenset[Digest]:
        """All that the repository has."""
        found = self._holdings.known(repository)
        return frozenset(found.blobs) if found else frozenset()

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """The manifest that a tag or a digest names."""
        found = self._holdings.known(repository)
        digest = found and (
            found.tags.get(reference) or next((one for one in found.manifests if one == reference), None)
        )
        return self._holdings.read(digest) if digest else None

    def tags(self, repository: str) -> dict[str, Digest]:
        """Tag to what it names."""
        found = self._holdings.known(repository)
        return dict(sorted(found.tags.items())) if found else {}

    @property
    def uploads(self) -> int:
        """Uploads that were begun and neither ended nor cancelled."""
        return len(self._holdings.uploads)

    def lose_uploads(self) -> None:
        """Forget all uploads that were begun, as a registry does after some time."""
        self._holdings.uploads.clear()

    # -- one request

    async def _on_registry(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._respond(request, self._distribution.answer)

    async def _on_storage(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._respond(request, self._distribution.stored)

    async def _respond(self, request: web.BaseRequest, rules: Callable[[Asked], Any]) -> web.StreamResponse:
        entry = Entry(request.method, request.path, request.query_string, request.headers)
        self._log.add(entry)
        turns = (one.take(request.method, request.path) for one in list(self._traps))
        turn = next((one for one in turns if one is not None), None)
        try:
            answer = await self._answer(request, rules, turn, entry)
            return await self._send(request, answer, turn, entry)
        except (Dropped, ConnectionError):
            if request.transport is not None:
                request.transport.close()
            return web.Response()  # for nobody: the connection is closed
        finally:
            if turn is not None:
                turn.over()
            self._log.changed()

    async def _answer(
        self, request: web.BaseRequest, rules: Callable[[Asked], Any], turn: Turn | None, entry: Entry
    ) -> Answer:
        body = self._received(_flowing(request.content.iter_any(), turn, "request"), entry)
        query = {name: request.query.getall(name) for name in request.query}
        asked = Asked(request.method, request.path, query, request.headers, body)
        if turn is None:
            found: Answer = await rules(asked)
            return found
        if isinstance(turn.fault, ExpiredToken):
            turn.strike()
            return self._distribution.refuse(asked)
        if instead := turn.fault.instead():
            turn.strike()
            return instead
        found = await rules(asked)
        changed = turn.fault.change(found)
        if changed is not found:
            turn.strike()
        return changed

    async def _received(self, body: AsyncIterator[bytes], entry: Entry) -> AsyncIterator[bytes]:
        async for chunk in body:
            entry.received += len(chunk)
            yield chunk
            self._log.changed()

    async def _send(
        self, request: web.BaseRequest, answer: Answer, turn: Turn | None, entry: Entry
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        body = _flowing(_each(() if request.method == "HEAD" else answer.body), turn, "answer")
        # Before the head: a fault that lets no byte through keeps the head too.
        chunk = await anext(body, b"")
        response.content_length = answer.length
        if answer.length is None:
            response.enable_chunked_encoding()
        entry.status = answer.status
        await response.prepare(request)
        sent = 0
        while chunk:
            sent += len(chunk)
            entry.sent = sent
            self._log.changed()
            await response.write(chunk)
            chunk = await anext(body, b"")
        if request.method != "HEAD" and answer.length is not None and sent < answer.length:
            raise Dropped
        await response.write_eof()
        return response

    def _call(self, function: Callable[[], object]) -> None:
        if self._serving.loop is None:
            function()
        else:
            self._serving.loop.call_soon_threadsafe(function)


def _flowing(body: AsyncIterator[bytes], turn: Turn | None, side: str) -> AsyncIterator[bytes]:
    if turn is None or turn.fault.side != side:
        return body
    return turn.fault.flow(body, turn.seen_by_flow())


async def _each(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in body:
        yield chunk
        await asyncio.sleep(0)  # an endless body lets others in
