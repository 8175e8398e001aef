"""The rules of blobs and their uploads. Source: distribution-spec v1.1.1, "Pulling blobs", "Pushing Blobs"."""

from __future__ import annotations

from shipway.oci import Digest
from shipway.testing.registry.answers import Answer, error
from shipway.testing.registry.asked import Asked, NotSatisfiable, chunk_range, span
from shipway.testing.registry.contents import Holdings, Upload, is_digest
from shipway.testing.registry.quirks import Quirks


class Blobs:
    """What is answered under ``/v2/<name>/blobs/``. ``storage`` is the URL of the other host."""

    def __init__(self, holdings: Holdings, quirks: Quirks) -> None:
        self._holdings, self._quirks = holdings, quirks
        self.storage = ""

    async def get(self, asked: Asked, name: str, digest: str) -> Answer:
        """GET and HEAD."""
        repository = self._holdings.known(name)
        if not repository or digest not in repository.blobs:
            return error("BLOB_UNKNOWN", f"{name} has no blob {digest}")
        if self._quirks.redirects and asked.method == "GET":
            return Answer.of(307, Location=f"{self.storage}/storage/{digest}?signature=of-a-short-life")
        return self.content(asked, Digest(digest))

    def content(self, asked: Asked, digest: Digest) -> Answer:
        """The bytes, or the part of them that is asked for."""
        size = self._holdings.contents.size(digest)
        head = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        if not self._quirks.ranges:
            return Answer(200, head, self._holdings.chunks(digest, 0, size), size)
        head["Accept-Ranges"] = "bytes"
        try:
            part = span(asked.headers.get("Range"), size)
        except NotSatisfiable:
            return Answer.of(416, Content_Range=f"bytes */{size}")
        if part is None:
            return Answer(200, head, self._holdings.chunks(digest, 0, size), size)
        start, length = part
        head["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        return Answer(206, head, self._holdings.chunks(digest, start, length), length)

    async def delete(self, asked: Asked, name: str, digest: str) -> Answer:
        """DELETE of a blob: this repository has it no more."""
        repository = self._holdings.known(name)
        if not repository or digest not in repository.blobs:
            return error("BLOB_UNKNOWN", f"{name} has no blob {digest}")
        repository.blobs.discard(Digest(digest))
        return Answer.of(202)

    async def start(self, asked: Asked, name: str) -> Answer:
        """POST: mount a blob, take a whole one, or begin an upload."""
        mount, source, digest = asked.one("mount"), asked.one("from"), asked.one("digest")
        other = self._holdings.known(source) if source else None
        if mount and other and mount in other.blobs and self._quirks.mounts:
            self._holdings.at(name).blobs.add(Digest(mount))
            return _created(name, mount)
        upload = self._holdings.begin(name)
        if digest and self._quirks.single_post:
            await self._receive(asked, upload)
            return self._close(upload, digest)
        least = self._quirks.chunk_min_length
        answer = self._accepted(asked, upload)
        return answer.having(OCI_Chunk_Min_Length=str(least)) if least else answer

    async def patch(self, asked: Asked, name: str, upload_name: str) -> Answer:
        """PATCH: the next chunk, or all of the blob as a stream."""
        upload = self._upload(asked, name, upload_name)
        if isinstance(upload, Answer):
            return upload
        if refused := self._out_of_order(asked, upload):
            return refused
        if upload.last_chunk is not None and upload.last_chunk < self._quirks.chunk_min_length:
            return error("SIZE_INVALID", f"a chunk of {upload.last_chunk} bytes was not the last one")
        before = upload.size
        await self._receive(asked, upload)
        upload.last_chunk = upload.size - before
        return self._accepted(asked, upload, self._quirks.patch_status)

    async def status(self, asked: Asked, name: str, upload_name: str) -> Answer:
        """GET: how far the upload came."""
        upload = self._upload(asked, name, upload_name)
        return upload if isinstance(upload, Answer) else self._accepted(asked, upload, 204)

    async def finish(self, asked: Asked, name: str, upload_name: str) -> Answer:
        """PUT: the last chunk, which may be empty, and the digest of all."""
        upload = self._upload(asked, name, upload_name)
        if isinstance(upload, Answer):
            return upload
        if refused := self._out_of_order(asked, upload):
            return refused
        digest = asked.one("digest")
        if not digest:
            return error("DIGEST_INVALID", "PUT says the digest: ?digest=sha256:...")
        await self._receive(asked, upload)
        return self._close(upload, digest)

    async def cancel(self, asked: Asked, name: str, upload_name: str) -> Answer:
        """DELETE of an upload."""
        upload = self._upload(asked, name, upload_name)
        if isinstance(upload, Answer):
            return upload
        self._holdings.cancel(upload)
        return Answer.of(204)

    async def _receive(self, asked: Asked, upload: Upload) -> None:
        try:
            async for chunk in asked.body:
                upload.write(chunk)
        except BaseException:  # the client went (CancelledError), or a fault struck
            if not self._quirks.keeps_broken_chunks:
                self._holdings.cancel(upload)
            raise

    def _close(self, upload: Upload, digest: str) -> Answer:
        if not is_digest(digest) or upload.digest() != digest:
            self._holdings.cancel(upload)
            return error("DIGEST_INVALID", f"what came is not {digest}")
        self._holdings.finish(upload, Digest(digest))
        return _created(upload.repository, digest)

    def _upload(self, asked: Asked, name: str, upload_name: str) -> Upload | Answer:
        upload = self._holdings.uploads.get(upload_name)
        if not upload or upload.repository != name:
            return error("BLOB_UPLOAD_UNKNOWN", f"there is no upload {upload_name}")
        if not (asked.one("_state") or "").startswith(upload_name):
            return error("BLOB_UPLOAD_INVALID", "the Location of an upload is used as it is, with its query")
        return upload

    def _out_of_order(self, asked: Asked, upload: Upload) -> Answer | None:
        try:
            told = chunk_range(asked.headers.get("Content-Range"))
        except ValueError:
            return self._accepted(asked, upload, 416)
        length = asked.headers.get("Content-Length")
        if told and length is not None and int(length) != told[1] - told[0] + 1:
            return error("SIZE_INVALID", "Content-Length is not the length of Content-Range")
        return self._accepted(asked, upload, 416) if told and told[0] != upload.size else None

    def _accepted(self, asked: Asked, upload: Upload, status: int = 202) -> Answer:
        path = f"/v2/{upload.repository}/blobs/uploads/{upload.name}?_state={upload.name}.{upload.size}"
        location = path if self._quirks.location == "relative" else asked.url + path
        # An upload without a byte is told as one with a single byte, as Docker's registry does it.
        told = f"0-{max(0, upload.size - 1)}"
        return Answer.of(status, Location=location, Range=told, Docker_Upload_UUID=upload.name)


def _created(name: str, digest: str) -> Answer:
    return Answer.of(201, Location=f"/v2/{name}/blobs/{digest}", Docker_Content_Digest=digest)
