"""Each fault against a pull: it goes on by itself, or fails with one clear error, and is right the next time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shipway.errors import RegistryBroken, RegistryRefused, RegistryUnreachable, ShipwayError
from shipway.oci import Descriptor, Index, Layout
from shipway.oci.encrypted import Encrypted
from shipway.oci.manifest import INDEX_TYPE, MANIFEST_TYPE
from shipway.oci.registry.credentials import Credential
from shipway.testing.registry import (
    Auth,
    Basic,
    Bearer,
    ChangedBytes,
    Drop,
    Endless,
    ExpiredToken,
    FakeRegistry,
    Fault,
    Hang,
    Quirks,
    Reply,
    Resized,
    ServerError,
    TooManyRequests,
    Trap,
    WrongLength,
)
from tests.oci.registry.faulty import (
    LAYERS,
    LIMITS,
    REPOSITORY,
    Artifact,
    artifact,
    is_clear,
    nothing_is_wrong,
    pull,
)

BLOBS, MANIFESTS = "*/blobs/*", "*/manifests/*"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Ann:
    """Her name and password, for whoever asks."""

    async def of(self, host: str) -> Credential | None:
        return Credential("ann", "secret")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return artifact(tmp_path_factory.mktemp("made"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def pulled(registry: FakeRegistry, made: Artifact, layout: Layout, **more: Any) -> None:
    """A pull that has to work, and what holds then."""
    assert asyncio.run(pull(registry, layout, **more)) == made.root
    assert made.is_in(layout)
    nothing_is_wrong(layout)


@pytest.mark.parametrize("path", [BLOBS, MANIFESTS])
@pytest.mark.parametrize(
    "fault",
    [
        Drop(),
        Drop(after=10),
        ServerError(500),
        ServerError(503),
        TooManyRequests(3),
        TooManyRequests(LONG_AGO),
        TooManyRequests(None),
    ],
    ids=str,
)
def test_what_passes_is_overcome(fault: Fault, path: str, made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        trap = registry.fail(fault, method="GET", path=path, times=2)
        pulled(registry, made, layout)
        assert trap.struck == 2


@pytest.mark.parametrize(
    "fault, path, error",
    [
        (ChangedBytes(at=7), BLOBS, RegistryBroken),
        (Resized(by=1), BLOBS, RegistryBroken),
        (Resized(by=-1), BLOBS, RegistryBroken),
        (Endless(), BLOBS, RegistryBroken),
        (Reply(206, b"anything", {"Content-Range": "bytes 0-7/8"}), BLOBS, RegistryBroken),
        (Reply(403), BLOBS, RegistryRefused),
        (Drop(), BLOBS, RegistryUnreachable),
        (ServerError(503), BLOBS, RegistryUnreachable),
        (TooManyRequests(2), BLOBS, RegistryUnreachable),
        (ChangedBytes(at=7), MANIFESTS, RegistryBroken),
        (Resized(by=1), MANIFESTS, RegistryBroken),
        (Endless(), MANIFESTS, RegistryBroken),
        (Reply(200, b"<html>Please log in"), MANIFESTS, RegistryBroken),
        (Drop(after=10), MANIFESTS, RegistryUnreachable),
    ],
    ids=str,
)
def test_what_stays_is_one_clear_error(
    fault: Fault, path: str, error: type[ShipwayError], made: Artifact, layout: Layout
) -> None:
    _fails_clearly(fault, path, error, made, layout)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "fault, path, error",
    [
        (Resized(by=10**7), BLOBS, RegistryBroken),
        (WrongLength(by=1), BLOBS, RegistryBroken),
        (WrongLength(by=-1), BLOBS, RegistryBroken),
        (Reply(200, b"<html>Please log in"), BLOBS, RegistryBroken),
        (Reply(307, b"", {"Location": "http://127.0.0.1:1/"}), BLOBS, RegistryUnreachable),
        (Reply(307, b"", {"Location": "ftp://127.0.0.1/"}), BLOBS, RegistryBroken),
        (Reply(307, b"", {"Location": "?again"}), BLOBS, RegistryBroken),
        (Reply(401, b"", {"WWW-Authenticate": 'Bearer realm="http://example.org/token"'}), BLOBS, RegistryBroken),
        (Reply(404), BLOBS, RegistryRefused),
        (Reply(418, b'{"errors": 1}'), BLOBS, RegistryRefused),
        (TooManyRequests(10**9), BLOBS, RegistryUnreachable),
        (Resized(by=-1), MANIFESTS, RegistryBroken),
        (WrongLength(by=-1), MANIFESTS, RegistryBroken),
        (WrongLength(by=1), MANIFESTS, RegistryUnreachable),
        (Reply(200, b'{"layers": 3}'), MANIFESTS, RegistryBroken),
        (Reply(404), MANIFESTS, RegistryRefused),
        (ServerError(500), MANIFESTS, RegistryUnreachable),
    ],
    ids=str,
)
def test_more_that_stays_is_one_clear_error(
    fault: Fault, path: str, error: type[ShipwayError], made: Artifact, layout: Layout
) -> None:
    _fails_clearly(fault, path, error, made, layout)


def _fails_clearly(fault: Fault, path: str, error: type[ShipwayError], made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        trap = registry.fail(fault, method="GET", path=path)
        with pytest.raises(ShipwayError) as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        assert type(failed.value) is error, failed.value
        nothing_is_wrong(layout)
        trap.lift()
        pulled(registry, made, layout)  # also when what an earlier try left in the middle was a lie


def test_what_came_before_a_break_is_not_fetched_again(made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        whole = LAYERS[-1]
        trap = registry.fail(Drop(after=7_000), path=f"*/blobs/{made.layers[-1].digest}")
        limits = replace(LIMITS, part=whole, attempts=1)  # one stream
        with pytest.raises(RegistryUnreachable):
            asyncio.run(pull(registry, layout, limits))
        trap.lift()
        pulled(registry, made, layout)
        assert registry.requests("GET", BLOBS).sent == sum(LAYERS), "no byte travelled twice"


@pytest.mark.thorough
@pytest.mark.parametrize("part", [700_000, 1 << 20, 64 << 20])
@pytest.mark.parametrize("fault", [Drop(after=300_000), Drop(after=1_500_000), ChangedBytes(at=5)], ids=str)
def test_a_layout_that_is_encrypted(fault: Fault, part: int, tmp_path: Path) -> None:
    made = artifact(tmp_path / "made", (100, 3_000_000))
    layout = Layout(tmp_path / "oci", Encrypted(b"k" * 32))
    with FakeRegistry() as registry:
        made.into(registry)
        registry.fail(fault, path=BLOBS, times=2)
        with suppress(RegistryBroken):
            asyncio.run(pull(registry, layout, replace(LIMITS, part=part)))
        assert asyncio.run(pull(registry, layout, replace(LIMITS, part=part))) == made.root
    assert made.is_in(layout)


def test_a_dying_line_is_enough_as_long_as_bytes_come(made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        trap = registry.fail(Drop(after=3_000), path=BLOBS)
        pulled(registry, made, layout)
        assert trap.struck > LIMITS.attempts
        assert registry.requests("GET", BLOBS).sent == sum(LAYERS)


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(ranges=False),
        Quirks(redirects=True),
        Quirks(redirects=True, ranges=False),
        Quirks(warning="the plan ends soon"),
        Quirks(referrers=False),
    ],
    ids=["ranges", "redirects", "redirects-ranges", "warning", "referrers"],
)
def test_other_vendors(quirks: Quirks, made: Artifact, layout: Layout) -> None:
    with FakeRegistry(quirks, auth=Bearer("ann", "secret")) as registry:
        made.into(registry)
        registry.fail(Drop(after=70), path="*/s*/sha256:*", times=1)
        pulled(registry, made, layout, credentials=Ann())
        assert not any("Authorization" in one.headers for one in registry.requests(path="/storage/*"))


def test_a_token_that_expires_half_way(made: Artifact, layout: Layout) -> None:
    auth = Bearer("ann", "secret")
    with FakeRegistry(auth=auth) as registry:
        made.into(registry)
        trap = registry.fail(ExpiredToken(), path=BLOBS, times=2)
        pulled(registry, made, layout, credentials=Ann())
        assert trap.struck == 2


@pytest.mark.parametrize("auth", [Basic("ann", "other"), Bearer("ann", "other")], ids=["basic", "bearer"])
def test_wrong_credentials(auth: Auth, made: Artifact, layout: Layout) -> None:
    with FakeRegistry(auth=auth) as registry:
        made.into(registry)
        with pytest.raises(RegistryRefused) as refused:
            asyncio.run(pull(registry, layout, credentials=Ann()))
        is_clear(refused.value)
        assert "docker login" in refused.value.next_step
        assert "secret" not in str(refused.value)
        assert len(registry.requests(path="/v2/*")) <= 2, "who is not let in does not knock again and again"
        nothing_is_wrong(layout)


@pytest.mark.parametrize(
    "answer, error",
    [
        (b"<html>", RegistryBroken),
        (b"[]", RegistryBroken),
        (b'{"a":' + b"[" * 50_000, RegistryBroken),
        (b'{"token": 5}', RegistryBroken),
        (b'{"token": "two words"}', RegistryBroken),
        (b'{"token": "line\\nX-Header: smuggled"}', RegistryBroken),
        (b'{"token": "x", "expires_in": NaN}', RegistryBroken),
        (b'{"token": "x", "expires_in": 1' + b"0" * 400 + b"}", RegistryRefused),
        (b'{"token": "x", "expires_in": -5}', RegistryRefused),
        (b"x" * 2_000_000, RegistryBroken),
    ],
    ids=range(10),
)
def test_answers_that_are_no_token(answer: bytes, error: type[ShipwayError], made: Artifact, layout: Layout) -> None:
    with FakeRegistry(auth=Bearer("ann", "secret")) as registry:
        made.into(registry)
        registry.fail(Reply(200, answer), path="/token")
        with pytest.raises(ShipwayError) as failed:
            asyncio.run(pull(registry, layout, credentials=Ann()))
        is_clear(failed.value)
        assert type(failed.value) is error, failed.value


def test_a_registry_that_is_away_for_a_moment(made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        with registry.down(), pytest.raises(RegistryUnreachable) as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        pulled(registry, made, layout)


@pytest.mark.thorough
@pytest.mark.parametrize("path", [BLOBS, MANIFESTS])
def test_a_registry_that_falls_silent(path: str, made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        trap = registry.fail(Hang(after=70), method="GET", path=path, times=1)
        pulled(registry, made, layout, limits=replace(LIMITS, stall=1.0))
        assert trap.struck == 1


def test_a_manifest_of_10_megabytes(made: Artifact, layout: Layout) -> None:
    large = json.dumps({"schemaVersion": 2, "layers": [], "annotations": {"x": "y" * 10_000_000}}).encode()
    with FakeRegistry() as registry:
        registry.add_manifest(REPOSITORY, large, tag="1")
        # How much was sent is the kernel's business: its buffers may hold all of it. The reading ends: see Endless.
        with pytest.raises(RegistryBroken, match="more than 4194304 bytes") as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        nothing_is_wrong(layout)


def lying(made: Artifact, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The first manifest, with its last layer described otherwise."""
    document = json.loads(made.layout.read_blob(made.layout.read_index(made.root).manifests[0]))
    change(document["layers"][-1])
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change, error",
    [
        (lambda layer: layer.update(size=layer["size"] + 1), RegistryBroken),
        (lambda layer: layer.update(size=layer["size"] - 1), RegistryBroken),
        (lambda layer: layer.update(size=0), RegistryBroken),
        (lambda layer: layer.update(size=2**62), RegistryBroken),
        (lambda layer: layer.update(digest="sha256:" + "0" * 64), RegistryRefused),
        (lambda layer: layer.update(digest="sha256:../../../../etc/passwd"), RegistryBroken),
        (lambda layer: layer.update(digest="md5:0"), RegistryBroken),
    ],
)
def test_a_manifest_that_lies(
    change: Callable[[dict[str, Any]], None], error: type[ShipwayError], made: Artifact, layout: Layout
) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        registry.add_manifest(REPOSITORY, lying(made, change), tag="1")
        with pytest.raises(ShipwayError) as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        assert type(failed.value) is error, failed.value
        nothing_is_wrong(layout)
        made.into(registry)
        pulled(registry, made, layout)


def test_ten_pulls_at_once_fetch_each_blob_once(made: Artifact, layout: Layout) -> None:
    async def ten(registry: FakeRegistry) -> None:
        assert set(await asyncio.gather(*(pull(registry, layout) for _ in range(10)))) == {made.root}

    with FakeRegistry() as registry:
        made.into(registry)
        asyncio.run(ten(registry))
        assert registry.requests("GET", BLOBS).sent == sum(LAYERS)
    assert made.is_in(layout)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("after", [0, 100, 30_000])
def test_a_caller_that_goes_away(after: int, made: Artifact, layout: Layout) -> None:
    async def gone(registry: FakeRegistry, trap: Trap) -> None:
        working = asyncio.ensure_future(pull(registry, layout, replace(LIMITS, part=LAYERS[-1])))
        await asyncio.to_thread(trap.wait)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    with FakeRegistry() as registry:
        made.into(registry)
        before = open_files()
        trap = registry.fail(Hang(after=after), path=f"*/blobs/{made.layers[-1].digest}")
        asyncio.run(gone(registry, trap))
        give_up = time.monotonic() + 30.0
        while open_files() > before:  # the registry's own end of the connections is among them
            assert time.monotonic() < give_up, "files were left open"
            time.sleep(0.01)
        nothing_is_wrong(layout)
        trap.lift()
        pulled(registry, made, layout)


def test_a_blob_under_the_wrong_digest(made: Artifact, layout: Layout) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        layer = made.layers[1]
        registry.add_blob(REPOSITORY, bytes(layer.size), digest=layer.digest)
        with pytest.raises(RegistryBroken, match=layer.digest.hex[:12]) as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        nothing_is_wrong(layout)
        registry.add_blob(REPOSITORY, made.layout.read_blob(layer))
        pulled(registry, made, layout)


def test_indexes_without_end(layout: Layout) -> None:
    inner = b'{"schemaVersion": 2, "layers": []}'
    with FakeRegistry() as registry:
        digest, size, kind = registry.add_manifest(REPOSITORY, inner), len(inner), MANIFEST_TYPE
        for _ in range(50):
            index = Index((Descriptor(kind, digest, size),)).to_bytes()
            digest, size, kind = (
                registry.add_manifest(REPOSITORY, index, tag="1", media_type=INDEX_TYPE),
                len(index),
                INDEX_TYPE,
            )
        with pytest.raises(RegistryBroken) as failed:
            asyncio.run(pull(registry, layout))
        is_clear(failed.value)
        assert len(registry.requests("GET")) < 10
