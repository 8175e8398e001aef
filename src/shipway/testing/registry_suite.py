"""``check_registry``: what Shipway relies on in a registry, asked over plain HTTP and without Shipway's client.

Source: OCI distribution-spec v1.1.1. What a registry is known not to do is a :class:`Deviation`: the suite then asks
that it deviates in just that way, so that the day on which it no longer does is seen.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Manifest
from shipway.oci.manifest import MANIFEST_TYPE

MakeRegistry = Callable[[], AbstractContextManager[str]]
PATIENCE = 30.0  # seconds that anything may take
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_ALL_TYPES = f"{MANIFEST_TYPE}, {INDEX_TYPE}"


class Deviation(StrEnum):
    """What a registry may fail to do, and our client gets on without."""

    CUTS_416 = "announces a longer body with 416 than it sends"
    LOSES_BROKEN_CHUNKS = "forgets an upload of which a chunk broke off (404)"
    NO_CHUNK_ORDER = "takes a chunk that is out of order, where 416 is due"
    NO_DELETES = "refuses to delete anything (405)"
    NO_REFERRERS = "has no referrers API (404)"
    NO_SINGLE_POST = "answers POST ?digest= with 202: an ordinary upload"
    NO_SUFFIX_RANGES = "answers a range that counts from the end with the whole blob or 416"
    NO_TAG_DELETES = "deletes manifests by digest only"


def check_registry(make: MakeRegistry, deviations: Collection[Deviation] = ()) -> None:
    """All that Shipway asks of a registry. ``make`` gives the URL of a running one, ``http://HOST:PORT``.

    It may be the same for every check, and need not be empty: each check has a repository of its own name, so one
    registry is asked only once in its life.
    """
    for check in REGISTRY_CHECKS:
        with make() as url:
            name = check.__name__.strip("_").replace("_", "-")
            check(Repository(url, f"check/{name}", frozenset(deviations)))


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; header names in lower case. ``cut``: the body was shorter than announced."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    @property
    def document(self) -> Any:
        """The JSON in it."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of the registry that is asked, and calls that every check needs."""

    url: str
    name: str
    deviations: frozenset[Deviation] = frozenset()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Said:
        """One request on a connection of its own; ``path`` is relative to the repository, or a Location."""
        at = urlsplit(path if path.startswith(("/", "http://")) else f"/v2/{self.name}/{path}")
        target = f"{at.path}?{at.query}" if at.query else at.path
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        host = at.netloc or urlsplit(self.url).netloc
        with closing(http.client.HTTPConnection(host, timeout=PATIENCE)) as connection:
            connection.request(method, target, body, named)
            answer = connection.getresponse()
            told = {key.lower(): value for key, value in answer.getheaders()}
            try:
                return Said(answer.status, told, answer.read())
            except http.client.IncompleteRead as error:
                return Said(answer.status, told, error.partial, cut=True)

    def begin(self) -> str:
        """Where an upload goes."""
        said = self.ask("POST", "blobs/uploads/")
        assert said.status == 202, said
        return said.headers["location"]

    def chunk(self, location: str, data: bytes, start: int) -> Said:
        """PATCH with the next bytes."""
        told = f"{start}-{start + len(data) - 1}"
        return self.ask("PATCH", location, data, Content_Type="application/octet-stream", Content_Range=told)

    def finish(self, location: str, digest: str, data: bytes = b"") -> Said:
        """PUT that ends an upload."""
        return self.ask("PUT", _with(location, f"digest={digest}"), data, Content_Type="application/octet-stream")

    def push(self, data: bytes) -> Descriptor:
        """A blob is there."""
        said = self.finish(self.begin(), Digest.of(data), data)
        assert said.status == 201, said
        return Descriptor("application/octet-stream", Digest.of(data), len(data))

    def put(self, manifest: bytes, reference: str, media_type: str = MANIFEST_TYPE) -> Said:
        """PUT of a manifest."""
        return self.ask("PUT", f"manifests/{reference}", manifest, Content_Type=media_type)

    def artifact(self, content: bytes, tag: str | None = None, **more: Any) -> tuple[bytes, Digest]:
        """An artifact of one layer is there; its bytes and digest."""
        self.push(EMPTY_CONFIG_BYTES)
        data = Manifest(EMPTY_CONFIG, (self.push(content),), "application/vnd.check", **more).to_bytes()
        said = self.put(data, tag or Digest.of(data))
        assert said.status == 201, said
        return data, Digest.of(data)


def _with(location: str, parameter: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}{parameter}"


def _there(range_header: str) -> int:
    """Bytes of an upload that are there; ``0-0`` says none or one, and is taken for none."""
    found = re.fullmatch(r"0-(\d+)", range_header)
    assert found, range_header
    return int(found[1]) + 1 if int(found[1]) else 0


def _it_speaks_version_2(repository: Repository) -> None:
    assert repository.ask("GET", "/v2/").status == 200


def _what_is_unknown_is_404_with_the_error_document(repository: Repository) -> None:
    nothing = Digest.of(b"nothing")
    for path in (f"blobs/{nothing}", f"manifests/{nothing}", "manifests/latest", "tags/list"):
        said = repository.ask("GET", path, Accept=_ALL_TYPES)
        assert said.status == 404, (path, said)
        assert said.document["errors"][0]["code"], (path, said)
    for path in (f"blobs/{nothing}", "manifests/latest"):
        assert repository.ask("HEAD", path, Accept=_ALL_TYPES).status == 404


def _a_blob_is_uploaded_with_one_put(repository: Repository) -> None:
    data = bytes(range(256)) * 1000
    blob = repository.push(data)
    head = repository.ask("HEAD", f"blobs/{blob.digest}")
    assert (head.status, head.headers["content-length"]) == (200, str(blob.size))
    said = repository.ask("GET", f"blobs/{blob.digest}")
    assert (said.status, said.body) == (200, data)
    assert said.headers["docker-content-digest"] == blob.digest
    repository.push(data)  # once more is no error


def _an_empty_blob_is_a_blob(repository: Repository) -> None:
    blob = repository.push(b"")
    assert repository.ask("GET", f"blobs/{blob.digest}").body == b""


def _a_blob_is_uploaded_in_chunks(repository: Repository) -> None:
    data = b"abcdefghij" * 1000
    location = repository.begin()
    for start in (0, 4000, 8000):
        part = data[start : start + 4000]
        said = repository.chunk(location, part, start)
        assert said.status == 202, said
        assert said.headers["range"] == f"0-{start + len(part) - 1}"
        location = said.headers["location"]
    assert repository.finish(location, Digest.of(data)).status == 201
    assert repository.ask("GET", f"blobs/{Digest.of(data)}").body == data


def _the_last_chunk_may_come_with_the_put(repository: Repository) -> None:
    location = repository.chunk(repository.begin(), b"first ", 0).headers["location"]
    assert repository.finish(location, Digest.of(b"first last"), b"last").status == 201


def _a_chunk_may_come_without_a_range(repository: Repository) -> None:
    said = repository.ask("PATCH", repository.begin(), b"streamed", Content_Type="application/octet-stream")
    assert said.status == 202, said
    assert repository.finish(said.headers["location"], Digest.of(b"streamed")).status == 201


def _an_upload_tells_how_far_it_came(repository: Repository) -> None:
    location = repository.chunk(repository.begin(), b"x" * 1000, 0).headers["location"]
    said = repository.ask("GET", location)
    assert (said.status, said.headers["range"]) == (204, "0-999")
    assert repository.finish(said.headers["location"], Digest.of(b"x" * 1500), b"x" * 500).status == 201


def _a_chunk_out_of_order_is_refused(repository: Repository) -> None:
    location = repository.chunk(repository.begin(), b"x" * 1000, 0).headers["location"]
    said = repository.chunk(location, b"y" * 10, 2000)
    if Deviation.NO_CHUNK_ORDER in repository.deviations:
        assert said.status == 202, said
        return
    assert said.status == 416, said
    told = repository.ask("GET", location)
    assert (told.status, told.headers["range"]) == (204, "0-999")
    assert repository.finish(told.headers["location"], Digest.of(b"x" * 1000)).status == 201


def _a_broken_upload_is_gone_on_with(repository: Repository) -> None:
    data, location = b"0123456789" * 20_000, repository.begin()
    _break_off(repository, location, data, after=100_000)
    if Deviation.LOSES_BROKEN_CHUNKS in repository.deviations:
        _until(lambda: repository.ask("GET", location).status == 404)
        assert repository.push(data).digest == Digest.of(data)
        return
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        told = repository.ask("GET", location)
        assert told.status == 204, told
        there = _there(told.headers["range"])
        assert there <= 100_000
        said = repository.chunk(told.headers["location"], data[there:], there)
        if said.status == 202 and said.headers["range"] == f"0-{len(data) - 1}":
            break
        # The registry was still busy with the broken request when it was asked: it is asked again.
        location = said.headers.get("location", told.headers["location"])
        time.sleep(0.05)
    assert repository.finish(said.headers["location"], Digest.of(data)).status == 201
    assert repository.ask("GET", f"blobs/{Digest.of(data)}").body == data


def _until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.05)


def _break_off(repository: Repository, location: str, data: bytes, *, after: int) -> None:
    at = urlsplit(location)
    host = at.netloc or urlsplit(repository.url).netloc
    with closing(http.client.HTTPConnection(host, timeout=PATIENCE)) as connection:
        connection.putrequest("PATCH", f"{at.path}?{at.query}" if at.query else at.path)
        connection.putheader("Content-Length", str(len(data)))
        connection.putheader("Content-Range", f"0-{len(data) - 1}")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.endheaders()
        connection.send(data[:after])


def _a_blob_with_another_digest_is_refused(repository: Repository) -> None:
    wrong = Digest.of(b"something else")
    said = repository.finish(repository.begin(), wrong, b"something")
    assert said.status == 400, said
    assert said.document["errors"][0]["code"] == "DIGEST_INVALID"
    for digest in (wrong, Digest.of(b"something")):
        assert repository.ask("HEAD", f"blobs/{digest}").status == 404


def _an_upload_can_be_cancelled(repository: Repository) -> None:
    location = repository.chunk(repository.begin(), b"never mind", 0).headers["location"]
    assert repository.ask("DELETE", location).status == 204
    assert repository.ask("GET", location).status == 404
    assert repository.finish(location, Digest.of(b"never mind")).status == 404


def _a_whole_blob_comes_with_the_post(repository: Repository) -> None:
    data = b"at once"
    said = repository.ask(
        "POST", f"blobs/uploads/?digest={Digest.of(data)}", data, Content_Type="application/octet-stream"
    )
    if Deviation.NO_SINGLE_POST in repository.deviations:
        assert said.status == 202, said
        assert repository.finish(said.headers["location"], Digest.of(data), data).status == 201
    else:
        assert said.status == 201, said
    assert repository.ask("GET", f"blobs/{Digest.of(data)}").body == data


def _a_blob_of_another_repository_is_mounted(repository: Repository) -> None:
    blob = repository.push(b"to be shared")
    other = Repository(repository.url, f"{repository.name}/other")
    assert other.ask("HEAD", f"blobs/{blob.digest}").status == 404, "a blob belongs to its repository"
    said = other.ask("POST", f"blobs/uploads/?mount={blob.digest}&from={repository.name}")
    assert said.status == 201, said
    assert other.ask("GET", f"blobs/{blob.digest}").body == b"to be shared"


def _what_cannot_be_mounted_is_uploaded(repository: Repository) -> None:
    digest = Digest.of(b"nowhere yet")
    said = repository.ask("POST", f"blobs/uploads/?mount={digest}&from=check/nobody")
    assert said.status == 202, said
    assert repository.finish(said.headers["location"], digest, b"nowhere yet").status == 201


def _a_blob_is_read_in_parts(repository: Repository) -> None:
    blob = repository.push(bytes(range(100)))
    for asked, told, expected in (
        ("bytes=10-19", "bytes 10-19/100", range(10, 20)),
        ("bytes=90-", "bytes 90-99/100", range(90, 100)),
        ("bytes=95-200", "bytes 95-99/100", range(95, 100)),
        ("bytes=0-0", "bytes 0-0/100", range(1)),
    ):
        said = repository.ask("GET", f"blobs/{blob.digest}", Range=asked)
        assert (said.status, said.headers["content-range"], said.body) == (206, told, bytes(expected)), asked
    said = repository.ask("GET", f"blobs/{blob.digest}", Range="bytes=100-")
    assert (said.status, said.cut) == (416, Deviation.CUTS_416 in repository.deviations), said


def _the_end_of_a_blob_is_read(repository: Repository) -> None:
    blob = repository.push(bytes(range(100)))
    said = repository.ask("GET", f"blobs/{blob.digest}", Range="bytes=-5")
    if Deviation.NO_SUFFIX_RANGES in repository.deviations:
        assert said.status in (200, 416), said
    else:
        assert (said.status, said.body) == (206, bytes(range(95, 100)))


def _a_manifest_keeps_its_bytes(repository: Repository) -> None:
    canonical, _ = repository.artifact(b"layer")
    data = json.dumps(json.loads(canonical), indent=3).encode()  # not as we write it
    digest = Digest.of(data)
    said = repository.put(data, "odd")
    assert (said.status, said.headers["docker-content-digest"]) == (201, digest)
    for reference in ("odd", digest):
        got = repository.ask("GET", f"manifests/{reference}", Accept=_ALL_TYPES)
        assert (got.status, got.body) == (200, data)
        assert (got.headers["content-type"], got.headers["docker-content-digest"]) == (MANIFEST_TYPE, digest)
        head = repository.ask("HEAD", f"manifests/{reference}", Accept=_ALL_TYPES)
        assert (head.status, head.headers["content-length"]) == (200, str(len(data)))
        assert (head.headers["content-type"], head.headers["docker-content-digest"]) == (MANIFEST_TYPE, digest)


def _a_manifest_is_put_by_digest(repository: Repository) -> None:
    data, digest = repository.artifact(b"layer")
    assert repository.ask("GET", f"manifests/{digest}", Accept=_ALL_TYPES).body == data
    said = repository.put(data, Digest.of(b"something else"))
    assert 400 <= said.status < 500, said


def _a_tag_moves(repository: Repository) -> None:
    _, first = repository.artifact(b"one", "best")
    _, second = repository.artifact(b"two", "best")
    said = repository.ask("HEAD", "manifests/best", Accept=_ALL_TYPES)
    assert said.headers["docker-content-digest"] == second
    assert repository.ask("HEAD", f"manifests/{first}", Accept=_ALL_TYPES).status == 200


def _a_manifest_that_is_none_is_refused(repository: Repository) -> None:
    repository.push(EMPTY_CONFIG_BYTES)
    missing = Descriptor("application/octet-stream", Digest.of(b"not here"), 8)
    for data in (b"no JSON", b"[]", Manifest(EMPTY_CONFIG, (missing,)).to_bytes()):
        said = repository.put(data, "wrong")
        assert 400 <= said.status < 500, (data, said)
        assert said.document["errors"][0]["code"]
    assert repository.ask("HEAD", "manifests/wrong", Accept=_ALL_TYPES).status == 404


def _an_index_holds_manifests_and_indexes(repository: Repository) -> None:
    data, digest = repository.artifact(b"layer")
    inner = _index({"mediaType": MANIFEST_TYPE, "digest": digest, "size": len(data)})
    assert repository.put(inner, Digest.of(inner), INDEX_TYPE).status == 201
    outer = _index({"mediaType": INDEX_TYPE, "digest": Digest.of(inner), "size": len(inner)})
    assert repository.put(outer, "nested", INDEX_TYPE).status == 201
    said = repository.ask("GET", "manifests/nested", Accept=_ALL_TYPES)
    assert (said.body, said.headers["content-type"]) == (outer, INDEX_TYPE)


def _index(*manifests: Mapping[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}).encode()


def _a_manifest_of_almost_4_mebibytes_is_taken(repository: Repository) -> None:
    data, _ = repository.artifact(b"layer", "large", annotations={"long": "x" * (4 * 2**20 - 4096)})
    assert repository.ask("GET", "manifests/large", Accept=_ALL_TYPES).body == data


def _tags_are_listed_in_pages(repository: Repository) -> None:
    tags = ["a", "b", "b.1", "b_2", "latest"]
    for tag in tags:
        repository.artifact(b"layer", tag)
    whole = repository.ask("GET", "tags/list")
    assert (whole.status, sorted(whole.document["tags"])) == (200, sorted(tags))
    assert whole.document["name"] == repository.name
    assert "link" not in whole.headers
    found: list[str] = []
    path = "tags/list?n=2"
    while path:
        said = repository.ask("GET", path)
        found += said.document["tags"]
        link = re.match(r"<([^>]+)>;\s*rel=\"?next", said.headers.get("link", ""))
        path = link[1] if link else ""
        assert len(found) <= len(tags)
    assert found == whole.document["tags"]


def _a_manifest_is_deleted(repository: Repository) -> None:
    _, digest = repository.artifact(b"layer", "gone")
    said = repository.ask("DELETE", f"manifests/{digest}")
    if Deviation.NO_DELETES in repository.deviations:
        assert said.status == 405, said
        return
    assert said.status == 202, said
    for reference in (digest, "gone"):
        assert repository.ask("GET", f"manifests/{reference}", Accept=_ALL_TYPES).status == 404
    assert repository.ask("DELETE", f"manifests/{digest}").status == 404


def _a_tag_is_deleted_and_its_manifest_stays(repository: Repository) -> None:
    _, digest = repository.artifact(b"layer", "gone")
    said = repository.ask("DELETE", "manifests/gone")
    if {Deviation.NO_DELETES, Deviation.NO_TAG_DELETES} & repository.deviations:
        assert said.status in (400, 404, 405), said
        return
    assert said.status == 202, said
    assert repository.ask("HEAD", "manifests/gone", Accept=_ALL_TYPES).status == 404
    assert repository.ask("HEAD", f"manifests/{digest}", Accept=_ALL_TYPES).status == 200


def _a_blob_is_deleted(repository: Repository) -> None:
    blob = repository.push(b"of no use")
    said = repository.ask("DELETE", f"blobs/{blob.digest}")
    if Deviation.NO_DELETES in repository.deviations:
        assert said.status == 405, said
        return
    assert said.status == 202, said
    assert repository.ask("HEAD", f"blobs/{blob.digest}").status == 404


def _a_subject_need_not_be_there(repository: Repository) -> None:
    subject = Descriptor(MANIFEST_TYPE, Digest.of(b"later"), 5)
    data, digest = repository.artifact(b"signature", subject=subject)
    assert repository.ask("GET", f"manifests/{digest}", Accept=_ALL_TYPES).body == data


def _referrers_are_listed(repository: Repository) -> None:
    data, digest = repository.artifact(b"layer")
    if Deviation.NO_REFERRERS in repository.deviations:
        assert repository.ask("GET", f"referrers/{digest}").status == 404
        _referrers_go_under_the_fallback_tag(repository, data, digest)
        return
    empty = repository.ask("GET", f"referrers/{digest}")
    assert (empty.status, empty.document["manifests"]) == (200, [])
    assert empty.headers["content-type"] == INDEX_TYPE
    subject = Descriptor(MANIFEST_TYPE, digest, len(data))
    signature = Manifest(
        EMPTY_CONFIG, (repository.push(b"s"),), "application/vnd.signature", {"of": "somebody"}, subject
    ).to_bytes()
    said = repository.put(signature, Digest.of(signature))
    assert (said.status, said.headers["oci-subject"]) == (201, digest)
    [listed] = repository.ask("GET", f"referrers/{digest}").document["manifests"]
    assert listed == {
        "mediaType": MANIFEST_TYPE,
        "digest": Digest.of(signature),
        "size": len(signature),
        "artifactType": "application/vnd.signature",
        "annotations": {"of": "somebody"},
    }
    for kind, count in (("application/vnd.signature", 1), ("application/vnd.other", 0)):
        said = repository.ask("GET", f"referrers/{digest}?artifactType={kind}")
        assert len(said.document["manifests"]) == count or "oci-filters-applied" not in said.headers


def _referrers_go_under_the_fallback_tag(repository: Repository, data: bytes, digest: Digest) -> None:
    fallback = f"sha256-{digest.hex}"
    assert repository.ask("GET", f"manifests/{fallback}", Accept=_ALL_TYPES).status == 404
    listed = _index({"mediaType": MANIFEST_TYPE, "digest": digest, "size": len(data)})
    for index in (listed, _index()):
        assert repository.put(index, fallback, INDEX_TYPE).status == 201
        assert repository.ask("GET", f"manifests/{fallback}", Accept=_ALL_TYPES).body == index


REGISTRY_CHECKS: tuple[Callable[[Repository], None], ...] = (
    _it_speaks_version_2,
    _what_is_unknown_is_404_with_the_error_document,
    _a_blob_is_uploaded_with_one_put,
    _an_empty_blob_is_a_blob,
    _a_blob_is_uploaded_in_chunks,
    _the_last_chunk_may_come_with_the_put,
    _a_chunk_may_come_without_a_range,
    _an_upload_tells_how_far_it_came,
    _a_chunk_out_of_order_is_refused,
    _a_broken_upload_is_gone_on_with,
    _a_blob_with_another_digest_is_refused,
    _an_upload_can_be_cancelled,
    _a_whole_blob_comes_with_the_post,
    _a_blob_of_another_repository_is_mounted,
    _what_cannot_be_mounted_is_uploaded,
    _a_blob_is_read_in_parts,
    _the_end_of_a_blob_is_read,
    _a_manifest_keeps_its_bytes,
    _a_manifest_is_put_by_digest,
    _a_tag_moves,
    _a_manifest_that_is_none_is_refused,
    _an_index_holds_manifests_and_indexes,
    _a_manifest_of_almost_4_mebibytes_is_taken,
    _tags_are_listed_in_pages,
    _a_manifest_is_deleted,
    _a_tag_is_deleted_and_its_manifest_stays,
    _a_blob_is_deleted,
    _a_subject_need_not_be_there,
    _referrers_are_listed,
)
