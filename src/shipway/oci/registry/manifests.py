"""Manifests in a repository: read, written, deleted."""

from __future__ import annotations

from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.manifest import artifact_type
from shipway.oci.registry import contents, errors, headers
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.transport import Answer


async def get(repository: Repository, name: str) -> tuple[Descriptor, bytes]:
    """A manifest by tag or digest; its bytes have the digest that was asked for, or that the registry told."""
    url = repository.manifest(name)
    request = repository.request("GET", url, {"Accept": contents.ACCEPT}, most=repository.limits.manifest)
    answer = await repository.transport.answer(request, {200})
    found = Digest.of(answer.body)
    told = answer.headers.get("Docker-Content-Digest", "")
    wanted = name if name.startswith("sha256:") else told if told.startswith("sha256:") else found
    if wanted != found:
        raise errors.broken("GET", url, f"the manifest was announced as {wanted[:80]!r}, and is {found}")
    try:
        media_type = contents.media_type(answer.body, answer.headers.get("Content-Type", ""))
    except ValueError as error:
        raise errors.broken("GET", url, f"the manifest cannot be used: {error}") from None
    return Descriptor(media_type, found, len(answer.body), artifact_type=artifact_type(answer.body)), answer.body


async def head(repository: Repository, name: str) -> Descriptor | None:
    """What the registry says of a manifest; None when there is none, or when it does not say enough."""
    request = repository.request("HEAD", repository.manifest(name), {"Accept": contents.ACCEPT})
    answer = await repository.transport.answer(request, {200, 404, 405})
    size = headers.count(answer.headers.get("Content-Length", ""))
    digest = answer.headers.get("Docker-Content-Digest", "")
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if answer.status != 200 or size is None or not media_type or not Digest.is_hex(digest.removeprefix("sha256:")):
        return None
    return Descriptor(media_type, Digest(f"sha256:{digest.removeprefix('sha256:')}"), size)


async def put(
    repository: Repository, name: str, descriptor: Descriptor, data: bytes, etag: str | None = None
) -> Answer:
    """Write a manifest under a tag or its digest. ``etag``: only over what had that ETag; 412 when it has another."""
    sent = {"Content-Type": descriptor.media_type, **({"If-Match": etag} if etag else {})}
    url = repository.manifest(name)
    answer = await repository.transport.answer(
        repository.request("PUT", url, sent, data), {201} | ({412} if etag else set())
    )
    told = answer.headers.get("Docker-Content-Digest", "")
    if told.startswith("sha256:") and told != descriptor.digest:
        raise errors.broken(
            "PUT", url, f"{descriptor.digest} was sent, and the registry says that it kept {told[:80]!r}"
        )
    return answer


async def delete(repository: Repository, name: str) -> None:
    """Delete a manifest by digest, or a tag. What is gone already is an error: the name may be wrong."""
    await repository.transport.answer(repository.request("DELETE", repository.manifest(name)), {200, 202, 204})
