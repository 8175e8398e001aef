"""Each fault against a push: it goes on by itself, or fails with one clear error and tags nothing, and resumes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import Corrupt, RegistryBroken, RegistryRefused, RegistryUnreachable, ShipwayError
from shipway.oci import Descriptor, Digest
from shipway.oci.registry.credentials import Credential
from shipway.testing.registry import (
    Bearer,
    Drop,
    ExpiredToken,
    FakeRegistry,
    Fault,
    Hang,
    Quirks,
    Reply,
    ServerError,
    TooManyRequests,
    Trap,
)
from tests.oci.registry.faulty import LAYERS, LIMITS, REPOSITORY, Artifact, artifact, is_clear, push

BEGIN, UPLOAD, BLOBS, MANIFESTS = "*/uploads/", "*/uploads/?*", "*/blobs/sha256:*", "*/manifests/*"


class Ann:
    """Her name and password, for whoever asks."""

    async def of(self, host: str) -> Credential | None:
        return Credential("ann", "secret")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return artifact(tmp_path_factory.mktemp("made"))


def pushed(registry: FakeRegistry, made: Artifact, **more: Any) -> None:
    """A push that has to work, and what holds then."""
    asyncio.run(push(registry, made, **more))
    assert made.is_at(registry)
    nothing_is_wrong(registry)


def nothing_is_wrong(registry: FakeRegistry) -> None:
    """Each blob that the registry has is what its name says."""
    for digest in registry.blobs(REPOSITORY):
        assert Digest.of(registry.blob(REPOSITORY, digest) or b"") == digest


PASSES = [Drop(), ServerError(500), ServerError(503), TooManyRequests(3), TooManyRequests(None)]
CUT = [Drop(after=0, of="request"), Drop(after=700, of="request")]


@pytest.mark.parametrize(
    "method, path, faults",
    [
        ("HEAD", BLOBS, PASSES),
        ("POST", BEGIN, PASSES),
        ("PATCH", UPLOAD, [*PASSES, *CUT, Drop(after=20_000, of="request")]),
        ("PUT", UPLOAD, [*PASSES, Drop(after=50, of="request")]),
        ("PUT", MANIFESTS, [*PASSES, Drop(after=50, of="request")]),
    ],
    ids=["HEAD", "POST", "PATCH", "PUT", "manifest"],
)
def test_what_passes_is_overcome(method: str, path: str, faults: list[Fault], made: Artifact) -> None:
    for fault in faults:
        with FakeRegistry() as registry:
            trap = registry.fail(fault, method=method, path=path, times=2)
            pushed(registry, made)
            assert trap.struck, f"{fault} was never met"


@pytest.mark.parametrize(
    "fault, method, path, error",
    [
        (Drop(), "POST", BEGIN, RegistryUnreachable),
        (Drop(after=0, of="request"), "PATCH", UPLOAD, RegistryUnreachable),
        (ServerError(502), "PATCH", UPLOAD, RegistryUnreachable),
        (ServerError(503), "PUT", MANIFESTS, RegistryUnreachable),
        (TooManyRequests(2), "HEAD", BLOBS, RegistryUnreachable),
        (TooManyRequests(10**9), "PUT", UPLOAD, RegistryUnreachable),
        (Reply(403), "POST", BEGIN, RegistryRefused),
        (Reply(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}'), "PUT", UPLOAD, RegistryRefused),
        (Reply(404), "POST", BEGIN, RegistryRefused),
        (Reply(405), "PUT", MANIFESTS, RegistryRefused),
        (Reply(413), "PUT", MANIFESTS, RegistryRefused),
        (Reply(200, b"<html>"), "POST", BEGIN, RegistryBroken),
        (Reply(202, b"", {"Location": "ftp://127.0.0.1/"}), "POST", BEGIN, RegistryBroken),
        (Reply(201, b"", {"Docker-Content-Digest": "sha256:" + "0" * 64}), "PUT", MANIFESTS, RegistryBroken),
        (Reply(200, b"", {"Content-Length": "7"}), "HEAD", BLOBS, RegistryBroken),
        (ExpiredToken(), "POST", BEGIN, RegistryRefused),
    ],
    ids=str,
)
def test_what_stays_is_one_clear_error(
    fault: Fault, method: str, path: str, error: type[ShipwayError], made: Artifact
) -> None:
    with FakeRegistry() as registry:
        trap = registry.fail(fault, method=method, path=path)
        with pytest.raises(ShipwayError) as failed:
            asyncio.run(push(registry, made))
        is_clear(failed.value)
        assert type(failed.value) is error, failed.value
        assert registry.tags(REPOSITORY) == {}
        nothing_is_wrong(registry)
        registry.settle()
        trap.lift()
        registry.forget()
        there = sum(one.size for one in made.layers if one.digest in registry.blobs(REPOSITORY))
        pushed(registry, made)
        assert registry.requests("P*", "*/blobs/*").received <= sum(LAYERS) + 2 - there, "what was there was sent again"


QUIRKS = [
    Quirks(),
    Quirks(location="relative"),
    Quirks(patch_status=201),
    Quirks(chunk_min_length=16_000),
    Quirks(keeps_broken_chunks=False),
    Quirks(single_post=False, mounts=False, ranges=False, deletes=False),
    Quirks(referrers=False, says_subject=False),
    Quirks(warning="the plan ends soon", location="relative"),
]


@pytest.mark.parametrize("quirks", QUIRKS, ids=[str(number) for number in range(len(QUIRKS))])
def test_other_vendors(quirks: Quirks, made: Artifact) -> None:
    for limits in (LIMITS, replace(LIMITS, chunk=7_000)):
        with FakeRegistry(quirks, auth=Bearer("ann", "secret")) as registry:
            trap = registry.fail(Drop(after=2_000, of="request"), method="PATCH", times=1)
            pushed(registry, made, limits=limits, credentials=Ann())
            assert trap.struck == 1


def test_a_second_push_sends_nothing(made: Artifact) -> None:
    with FakeRegistry() as registry:
        pushed(registry, made)
        registry.forget()
        pushed(registry, made)
        assert registry.requests().received == 0


def test_only_the_file_that_changed_travels(made: Artifact, tmp_path: Path) -> None:
    other = artifact(tmp_path / "other", (*LAYERS, 3_000))
    with FakeRegistry() as registry:
        pushed(registry, made)
        registry.forget()
        pushed(registry, other)
        assert registry.requests(path="*/blobs/*").received == 3_000


def test_what_was_received_before_a_break_is_not_sent_again(made: Artifact) -> None:
    with FakeRegistry() as registry:
        trap = registry.fail(Drop(after=50_000, of="request"), method="PATCH", times=3)
        pushed(registry, made)
        assert trap.struck == 1
        assert registry.requests("P*", "*/blobs/*").received == sum(LAYERS) + 2, "no byte travelled twice"


def test_uploads_that_are_lost_half_way(made: Artifact) -> None:
    with FakeRegistry() as registry:
        registry.fail(Drop(after=50_000, of="request"), method="PATCH", times=1)
        registry.fail(Reply(404, b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN"}]}'), method="GET", path=UPLOAD, times=1)
        pushed(registry, made)


def test_a_chunk_that_a_registry_calls_out_of_order(made: Artifact) -> None:
    with FakeRegistry() as registry:
        trap = registry.fail(Reply(416), method="PATCH", times=1)
        pushed(registry, made)
        assert trap.struck == 1


def test_a_token_that_expires_half_way(made: Artifact) -> None:
    for method in ("PATCH", "PUT"):
        with FakeRegistry(auth=Bearer("ann", "secret")) as registry:
            trap = registry.fail(ExpiredToken(), method=method, times=2)
            pushed(registry, made, credentials=Ann())
            assert trap.struck == 2


def test_an_upload_that_leads_elsewhere_takes_no_credentials_along(made: Artifact) -> None:
    with FakeRegistry(auth=Bearer("ann", "secret")) as registry, FakeRegistry() as elsewhere:
        registry.fail(Reply(202, b"", {"Location": f"{elsewhere.url}/v2/x/blobs/uploads/1?_state=1"}), path=BEGIN)
        registry.fail(ExpiredToken(), method="HEAD", times=1)  # so that it has a token to show
        with pytest.raises(ShipwayError) as failed:
            asyncio.run(push(registry, made, credentials=Ann()))
        is_clear(failed.value)
        assert len(elsewhere.requests()) > 0
        assert not any("Authorization" in one.headers for one in elsewhere.requests())
        assert registry.tags(REPOSITORY) == {}


@pytest.mark.parametrize("fault", [Hang(after=3_000, of="request"), Hang()], ids=str)
def test_a_caller_that_goes_away(fault: Fault, made: Artifact) -> None:
    async def gone(registry: FakeRegistry, trap: Trap) -> None:
        working = asyncio.ensure_future(push(registry, made))
        await asyncio.to_thread(trap.wait)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    with FakeRegistry() as registry:
        trap = registry.fail(fault, method="PATCH")
        asyncio.run(gone(registry, trap))
        assert registry.tags(REPOSITORY) == {}
        trap.lift()
        pushed(registry, made)


def test_a_proxy_that_wants_small_bodies(made: Artifact) -> None:
    with FakeRegistry() as registry:
        registry.fail(Reply(413), method="PATCH", times=1)
        with pytest.raises(RegistryRefused) as failed:  # 60 kB: smaller chunks than 1 MiB make no sense
            asyncio.run(push(registry, made))
        is_clear(failed.value)
        assert registry.tags(REPOSITORY) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("fault", [Hang(after=3_000, of="request"), Hang()], ids=str)
def test_a_registry_that_falls_silent(fault: Fault, made: Artifact) -> None:
    with FakeRegistry() as registry:
        trap = registry.fail(fault, method="PATCH", times=1)
        pushed(registry, made, limits=replace(LIMITS, stall=1.0, finish=1.0))
        assert trap.struck == 1


def test_two_pushes_of_one_tag_at_once(made: Artifact, tmp_path: Path) -> None:
    other = artifact(tmp_path / "other", (100, 7_000), seed=8)

    async def both(registry: FakeRegistry) -> None:
        await asyncio.gather(push(registry, made), push(registry, other), push(registry, made))

    with FakeRegistry() as registry:
        asyncio.run(both(registry))
        assert made.is_at(registry) or other.is_at(registry), "the tag names the one or the other, and all of it"
        nothing_is_wrong(registry)
        for one in (made, other):
            assert registry.manifest(REPOSITORY, one.root.digest) or made.is_at(registry) != other.is_at(registry)


@pytest.mark.parametrize("damage", [b"", b"x" * 60_000])
def test_a_damaged_blob_of_ours_is_never_kept_there(damage: bytes, tmp_path: Path) -> None:
    made = artifact(tmp_path)
    layer: Descriptor = made.layers[-1]
    (made.layout.root / "blobs" / "sha256" / layer.digest.hex).write_bytes(damage)
    with FakeRegistry() as registry:
        with pytest.raises(Corrupt, match=layer.digest.hex):
            asyncio.run(push(registry, made))
        assert registry.tags(REPOSITORY) == {}
        nothing_is_wrong(registry)
        assert layer.digest not in registry.blobs(REPOSITORY)
