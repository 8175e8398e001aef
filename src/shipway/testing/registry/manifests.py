"""The rules of manifests, tags and referrers. Source: distribution-spec v1.1.1, "Pull", "Push", "Content Discovery"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from shipway.oci import Digest
from shipway.testing.registry.answers import Answer, error
from shipway.testing.registry.asked import Asked, accepts, page
from shipway.testing.registry.contents import Holdings, Repository, document_of, is_digest, subject_of
from shipway.testing.registry.quirks import Quirks

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


class Manifests:
    """What is answered under ``/v2/<name>/manifests/``, ``tags/`` and ``referrers/``."""

    def __init__(self, holdings: Holdings, quirks: Quirks) -> None:
        self._holdings, self._quirks = holdings, quirks

    async def get(self, asked: Asked, name: str, reference: str) -> Answer:
        """GET and HEAD."""
        digest = self._named(name, reference)
        if digest is None:
            return error("MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        media_type = self._holdings.at(name).manifests[digest]
        if not accepts(asked.headers.get("Accept"), media_type):
            return error("MANIFEST_UNKNOWN", f"{reference} is {media_type}, which Accept does not allow")
        size = self._holdings.contents.size(digest)
        head = {"Content-Type": media_type, "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        return Answer(200, head, self._holdings.chunks(digest, 0, size), size)

    async def put(self, asked: Asked, name: str, reference: str) -> Answer:
        """PUT under a tag or under its digest."""
        data = await asked.read(self._quirks.largest_manifest)
        if data is None:
            return error("SIZE_INVALID", f"a manifest has at most {self._quirks.largest_manifest} bytes", 413)
        media_type = asked.headers.get("Content-Type", "").partition(";")[0].strip()
        repository = self._holdings.at(name)
        if refused := _refusal(data, media_type, repository):
            return refused
        by_digest = ":" in reference
        if by_digest and Digest.of(data) != reference:
            return error("DIGEST_INVALID", f"the manifest is not {reference}")
        if not by_digest and not _TAG.fullmatch(reference):
            return error("MANIFEST_INVALID", f"{reference!r} is not a tag")
        digest = self._holdings.add_manifest(name, data, media_type, None if by_digest else reference)
        answer = Answer.of(201, Location=f"/v2/{name}/manifests/{reference}", Docker_Content_Digest=digest)
        subject = subject_of(data)
        told = subject and self._quirks.referrers and self._quirks.says_subject
        return answer.having(OCI_Subject=str(subject)) if told else answer

    async def delete(self, asked: Asked, name: str, reference: str) -> Answer:
        """DELETE of a tag, or of a manifest with all its tags."""
        digest = self._named(name, reference)
        if digest is None:
            return error("MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        if reference == digest:
            self._holdings.remove_manifest(name, digest)
        else:
            del self._holdings.at(name).tags[reference]
        return Answer.of(202)

    async def tags(self, asked: Asked, name: str) -> Answer:
        """GET of the list."""
        repository = self._holdings.known(name)
        if repository is None:
            return error("NAME_UNKNOWN", f"there is no repository {name}")
        return self._page(
            asked, f"/v2/{name}/tags/list", sorted(repository.tags), lambda some: {"name": name, "tags": some}
        )

    async def referrers(self, asked: Asked, name: str, digest: str) -> Answer:
        """GET of what refers to a digest: an image index, empty when nothing does."""
        if not self._quirks.referrers:
            return error("UNSUPPORTED", "there is no referrers API", 404)
        if not is_digest(digest):
            return error("DIGEST_INVALID", f"{digest!r} is not a digest")
        repository = self._holdings.known(name) or Repository()
        kind = asked.one("artifactType")
        filtered = kind is not None and self._quirks.filters
        found = {
            str(one): descriptor
            for one, descriptor in repository.referrers.get(Digest(digest), {}).items()
            if not filtered or descriptor.get("artifactType") == kind
        }
        answer = self._page(
            asked,
            f"/v2/{name}/referrers/{digest}",
            sorted(found),
            lambda some: {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [found[one] for one in some]},
        ).having(Content_Type=INDEX_TYPE)
        return answer.having(OCI_Filters_Applied="artifactType") if filtered else answer

    def _named(self, name: str, reference: str) -> Digest | None:
        repository = self._holdings.known(name)
        if repository is None:
            return None
        found = repository.tags.get(reference)
        return found or (Digest(reference) if is_digest(reference) and reference in repository.manifests else None)

    def _page(self, asked: Asked, path: str, names: list[str], document: Any) -> Answer:
        told = asked.one("n")
        n = min(int(told), self._quirks.page) if told and told.isdecimal() else self._quirks.page
        some, more = page(names, n=n, last=asked.one("last"))
        answer = Answer.json(document(list(some)))
        if not more:
            return answer
        kept = {key: value for key in ("artifactType",) if (value := asked.one(key)) is not None}
        query = urlencode({"n": n, "last": some[-1], **kept})
        return answer.having(Link=f'<{path}?{query}>; rel="next"')


def _refusal(data: bytes, media_type: str, repository: Repository) -> Answer | None:
    """Why these bytes are not taken as a manifest of that type."""
    document = document_of(data)
    if document is None or document.get("schemaVersion") != 2:
        return error("MANIFEST_INVALID", "a manifest is a JSON object with schemaVersion 2")
    if not media_type or document.get("mediaType", media_type) != media_type:
        return error("MANIFEST_INVALID", f"it says {document.get('mediaType')!r}, and Content-Type {media_type!r}")
    if "manifests" not in document and not {"config", "layers"} <= set(document):
        return error("MANIFEST_INVALID", "it has neither manifests nor config and layers")
    try:
        blobs = list(_digests(document))
        children = [str(one["digest"]) for one in document.get("manifests") or []]
    except (AttributeError, KeyError, TypeError):
        return error("MANIFEST_INVALID", "a descriptor has no digest")
    missing = [one for one in blobs if one not in repository.blobs]
    missing += [one for one in children if one not in repository.manifests]
    return error("MANIFEST_BLOB_UNKNOWN", f"not here: {', '.join(missing)}") if missing else None


def _digests(document: dict[str, Any]) -> Iterator[str]:
    """The blobs that must be here: those with ``urls`` may be anywhere."""
    if "config" in document:
        yield str(document["config"]["digest"])
    for layer in document.get("layers") or []:
        if not layer.get("urls"):
            yield str(layer["digest"])
