"""What refers to a manifest, as registries list it: by their API, or under the fallback tag where they have none.

Source: OCI distribution-spec v1.1.1, "Listing Referrers", "Pushing Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from shipway.errors import RegistryRefused
from shipway.oci import referrers as lists
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.document import NOT_READABLE
from shipway.oci.index import Index
from shipway.oci.manifest import INDEX_TYPE, INDEX_TYPES
from shipway.oci.registry import errors, headers, manifests
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.transport import Answer

_NO_API = frozenset({400, 404, 405, 406, 501})  # the specification says 404; not every registry does
_ROUNDS = 8  # tries to get a referrer into a list that others write too


async def listed(repository: Repository, subject: Digest, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
    """The referrers of a manifest (of that type), in the registry's order."""
    found = await _of_api(repository, subject, artifact_type)
    if found is None:
        found = (await _of_tag(repository, subject))[0].manifests
    return tuple(one for one in found if artifact_type in (None, one.artifact_type))


async def remember(repository: Repository, subject: Digest, entry: Descriptor) -> None:
    """See that the registry lists a referrer that it did not list itself (no OCI-Subject in its answer).

    Read, change, write, wait for longer than another needs from his reading to his writing, and read again: who wrote
    at the same moment took ours away. RegistryRefused when ours is still not there after several rounds.
    """
    url = repository.manifest(lists.tag_of(subject))
    async with repository.transport.alone(url):
        for _ in range(_ROUNDS):
            index, etag = await _of_tag(repository, subject)
            if any(one.digest == entry.digest for one in index.manifests):
                return
            await _write(repository, subject, lists.added(index, entry), etag)
            await repository.transport.breathe()
    raise RegistryRefused(
        f"{url}: others write this list all the time, and ours is lost again",
        next_step="Push again when they are done.",
    )


async def forget(repository: Repository, subject: Digest, referrer: Digest) -> None:
    """Take a deleted referrer off the fallback tag's list, where there is one."""
    if await _of_api(repository, subject, None) is not None:
        return
    async with repository.transport.alone(repository.manifest(lists.tag_of(subject))):
        for _ in range(_ROUNDS):
            index, etag = await _of_tag(repository, subject)
            if all(one.digest != referrer for one in index.manifests):
                return
            await _write(repository, subject, lists.removed(index, referrer), etag)
            await repository.transport.breathe()


async def _of_api(repository: Repository, subject: Digest, artifact_type: str | None) -> tuple[Descriptor, ...] | None:
    """What the API says; None where there is none."""
    query = f"?artifactType={quote(artifact_type, safe='')}" if artifact_type else ""
    url = repository.url(f"referrers/{subject}{query}")
    found: list[Descriptor] = []
    async for answer in pages(repository, url, _NO_API):
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if answer.status != 200 or kind not in INDEX_TYPES:
            return None
        try:
            found += Index.from_bytes(answer.body).manifests
        except NOT_READABLE as error:
            raise errors.broken("GET", answer.url, f"this is no list of referrers ({type(error).__name__})") from None
    return tuple(found)


async def _of_tag(repository: Repository, subject: Digest) -> tuple[Index, str | None]:
    """The list under the fallback tag, empty where there is none, and its ETag."""
    url = repository.manifest(lists.tag_of(subject))
    request = repository.request("GET", url, {"Accept": INDEX_TYPE}, most=repository.limits.manifest)
    answer = await repository.transport.answer(request, {200, 404})
    if answer.status == 404:
        return Index(), None
    try:
        return Index.from_bytes(answer.body), answer.headers.get("ETag")
    except NOT_READABLE as error:
        raise errors.broken("GET", url, f"this is no list of referrers ({type(error).__name__})") from None


async def _write(repository: Repository, subject: Digest, index: Index, etag: str | None) -> None:
    data = index.to_bytes()
    descriptor = Descriptor(INDEX_TYPE, Digest.of(data), len(data))
    await manifests.put(repository, lists.tag_of(subject), descriptor, data, etag)


async def tags(repository: Repository) -> tuple[str, ...]:
    """All tags, in the registry's order."""
    found: dict[str, None] = {}
    async for answer in pages(repository, repository.url("tags/list?n=1000"), frozenset()):
        try:
            document: Any = json.loads(answer.body)
            found |= dict.fromkeys(headers.printable(str(one)) for one in document["tags"] or ())
        except NOT_READABLE as error:
            raise errors.broken("GET", answer.url, f"this is no list of tags ({type(error).__name__})") from None
    return tuple(found)


async def pages(repository: Repository, url: str, others: frozenset[int]) -> AsyncIterator[Answer]:
    """The pages of a list; ``others`` are statuses that the caller understands beside 200."""
    seen: set[str] = set()
    most = repository.limits.manifest
    following: str | None = url
    while following is not None:
        seen.add(following)
        answer = await repository.transport.answer(repository.request("GET", following, most=most), others | {200})
        yield answer
        following = headers.next_page(answer.headers.get("Link", ""), following)
        if following in seen or len(seen) > repository.limits.pages:
            raise errors.broken("GET", url, "its pages never end")
