"""What the fake can do beyond the contract: each fault, each quirk, who may come in, and what it counts."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Digest, Manifest
from shipway.testing.registry import (
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
    Slow,
    TooManyRequests,
    WrongLength,
)
from shipway.testing.registry.asked import NotSatisfiable, accepts, chunk_range, page, span
from shipway.testing.registry_suite import Repository, Said

DATA = bytes(range(256)) * 1000
DIGEST = Digest.of(DATA)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        running.add_blob("team/digits", DATA)
        yield running


def at(registry: FakeRegistry, name: str = "team/digits") -> Repository:
    return Repository(registry.url, name)


def get(registry: FakeRegistry, **headers: str) -> Said:
    return at(registry).ask("GET", f"blobs/{DIGEST}", None, **headers)


# -- faults


def test_a_dropped_answer(registry: FakeRegistry) -> None:
    trap = registry.fail(Drop(after=1000), method="GET", path="*/blobs/*", times=1)
    dropped = get(registry)
    assert (dropped.cut, dropped.body) == (True, DATA[:1000])
    assert (trap.struck, registry.requests("GET", "*/blobs/*").sent) == (1, 1000)
    assert get(registry).body == DATA


def test_an_answer_that_is_dropped_before_its_first_byte(registry: FakeRegistry) -> None:
    registry.fail(Drop(), times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        get(registry)


def test_a_request_that_was_done_and_whose_answer_is_lost(registry: FakeRegistry) -> None:
    registry.fail(Drop(), method="PUT", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        at(registry).push(b"done")
    assert registry.blob("team/digits", Digest.of(b"done")) == b"done"


@pytest.mark.parametrize("keeps", [True, False])
def test_a_dropped_request(keeps: bool) -> None:
    with FakeRegistry(Quirks(keeps_broken_chunks=keeps)) as registry:
        location = at(registry).begin()
        registry.fail(Drop(after=1000, of="request"), method="PATCH", times=1)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            at(registry).chunk(location, DATA, 0)
        assert registry.requests("PATCH").received == 1000
        told = at(registry).ask("GET", location)
        assert (told.status, told.headers.get("range")) == ((204, "0-999") if keeps else (404, None))


def test_who_hangs_goes_on_when_the_trap_is_lifted(registry: FakeRegistry) -> None:
    trap = registry.fail(Hang(after=1000), path="*/blobs/*")
    found: list[Said] = []
    asking = threading.Thread(target=lambda: found.append(get(registry)))
    asking.start()
    trap.wait()
    assert registry.requests("GET").sent == 1000
    assert not found
    trap.lift()
    asking.join()
    assert found[0].body == DATA
    assert get(registry).body == DATA


def test_a_trap_that_nobody_meets(registry: FakeRegistry) -> None:
    with pytest.raises(TimeoutError, match="struck 0 times"):
        registry.fail(Hang()).wait(timeout=0.0)
    with pytest.raises(TimeoutError, match="did not come about"):
        registry.wait(lambda: False, timeout=0.0)


def test_a_slow_answer_is_whole(registry: FakeRegistry) -> None:
    trap = registry.fail(Slow(100_000_000))
    assert get(registry).body == DATA
    assert trap.struck == 1


@pytest.mark.parametrize(
    "fault, status, header",
    [
        (TooManyRequests(3), 429, "3"),
        (TooManyRequests(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)), 429, "Fri, 02 Jan 2026 03:04:05 GMT"),
        (TooManyRequests(None), 429, None),
        (ServerError(), 500, None),
        (ServerError(503), 503, None),
        (Reply(418, b"short and stout", {"Retry-After": "9"}), 418, "9"),
    ],
)
def test_answers_in_place_of_the_right_one(
    registry: FakeRegistry, fault: Fault, status: int, header: str | None
) -> None:
    trap = registry.fail(fault, method="GET", times=1)
    said = get(registry)
    assert (said.status, said.headers.get("retry-after"), trap.struck) == (status, header, 1)
    assert get(registry).status == 200


@pytest.mark.parametrize(
    "fault, body, cut",
    [
        (ChangedBytes(at=70_000), DATA[:70_000] + bytes([DATA[70_000] ^ 1]) + DATA[70_001:], False),
        (Resized(by=-10), DATA[:-10], False),
        (Resized(by=2), DATA + b"\0\0", False),
        (WrongLength(by=-10), DATA[:-10], False),
        (WrongLength(by=10), DATA, True),
    ],
)
def test_lies(registry: FakeRegistry, fault: Fault, body: bytes, cut: bool) -> None:
    registry.fail(fault, times=1)
    said = get(registry)
    assert (said.status, said.cut) == (200, cut)
    assert said.body == body


def test_an_answer_without_end(registry: FakeRegistry) -> None:
    registry.fail(Endless(), times=1)
    connection = http.client.HTTPConnection(registry.host, timeout=10)
    connection.request("GET", f"/v2/team/digits/blobs/{DIGEST}")
    answer = connection.getresponse()
    assert answer.read(5_000_000)[: len(DATA)] == DATA
    answer.close()
    connection.close()


def test_down_is_down_and_forgets_nothing(registry: FakeRegistry) -> None:
    before = registry.url
    with registry.down(), pytest.raises(ConnectionRefusedError):
        get(registry)
    assert registry.url == before
    assert get(registry).body == DATA


def test_faults_meet_only_whom_they_are_for(registry: FakeRegistry) -> None:
    registry.fail(ServerError(), method="PUT")
    registry.fail(ServerError(), path="*/manifests/*")
    assert get(registry).status == 200
    assert at(registry).ask("GET", "manifests/latest").status == 500


# -- quirks


def test_a_registry_without_ranges() -> None:
    with FakeRegistry(Quirks(ranges=False)) as registry:
        registry.add_blob("team/digits", DATA)
        said = get(registry, Range="bytes=5-9")
    assert (said.status, said.body) == (200, DATA)


def test_a_registry_like_ecr() -> None:
    with FakeRegistry(Quirks(patch_status=201)) as registry:
        assert at(registry).chunk(at(registry).begin(), b"x", 0).status == 201


def test_a_registry_that_wants_large_chunks() -> None:
    with FakeRegistry(Quirks(chunk_min_length=100)) as registry:
        said = at(registry).ask("POST", "blobs/uploads/")
        assert said.headers["oci-chunk-min-length"] == "100"
        said = at(registry).chunk(said.headers["location"], b"x" * 50, 0)
        assert said.status == 202  # it may have been the last one
        assert at(registry).chunk(said.headers["location"], b"x" * 50, 50).status == 400


def test_a_registry_that_mounts_nothing(registry: FakeRegistry) -> None:
    with FakeRegistry(Quirks(mounts=False)) as other:
        other.add_blob("team/digits", DATA)
        assert at(other, "team/more").ask("POST", f"blobs/uploads/?mount={DIGEST}&from=team/digits").status == 202


def test_a_registry_that_warns() -> None:
    with FakeRegistry(Quirks(warning="moves on Monday")) as registry:
        assert at(registry).ask("GET", "/v2/").headers["warning"] == '299 - "moves on Monday"'


def test_blobs_of_another_host() -> None:
    with FakeRegistry(Quirks(redirects=True), auth=Basic("ann", "secret")) as registry:
        registry.add_blob("team/digits", DATA)
        known = "Basic " + base64.b64encode(b"ann:secret").decode()
        said = get(registry, Authorization=known)
        assert said.status == 307
        target = said.headers["location"]
        assert at(registry).ask("GET", target).body == DATA
        assert at(registry).ask("GET", target, Range="bytes=1-2").body == DATA[1:3]
        assert at(registry).ask("GET", target, Authorization=known).status == 400
        assert at(registry).ask("GET", target.partition("?")[0]).status == 403
        assert [bool(one.headers.get("Authorization")) for one in registry.requests(path="/storage/*")] == [
            False,
            False,
            True,
            False,
        ]


def test_an_index_of_a_registry_that_says_nothing_of_subjects() -> None:
    subject = Digest.of(b"subject")
    data = json.dumps({"subject": {"digest": subject}}).encode()
    for quirks, status in ((Quirks(says_subject=False), 200), (Quirks(referrers=False), 404)):
        with FakeRegistry(quirks) as registry:
            repository = at(registry)
            repository.push(EMPTY_CONFIG_BYTES)
            put = repository.put(
                json.dumps({**json.loads(Manifest(EMPTY_CONFIG, ()).to_bytes()), **json.loads(data)}).encode(), "one"
            )
            assert (put.status, put.headers.get("oci-subject")) == (201, None)
            assert repository.ask("GET", f"referrers/{subject}").status == status


def test_short_pages() -> None:
    with FakeRegistry(Quirks(page=2)) as registry:
        for tag in ("a", "b", "c"):
            registry.add_manifest("team/digits", {}, tag=tag)
        said = at(registry).ask("GET", "tags/list")
        assert (said.document["tags"], said.headers["link"]) == (
            ["a", "b"],
            '</v2/team/digits/tags/list?n=2&last=b>; rel="next"',
        )
        assert at(registry).ask("GET", "tags/list?n=2&last=b").document["tags"] == ["c"]
        assert at(registry).ask("GET", "tags/list?n=0").document["tags"] == []


# -- who may


def test_basic() -> None:
    with FakeRegistry(auth=Basic("ann", "secret")) as registry:
        registry.add_blob("team/digits", DATA)
        refused = get(registry)
        assert (refused.status, refused.headers["www-authenticate"].split()[0]) == (401, "Basic")
        for wrong in ("Basic !", "Basic " + base64.b64encode(b"ann:guess").decode(), "Bearer secret"):
            assert get(registry, Authorization=wrong).status == 401
        assert get(registry, Authorization="Basic " + base64.b64encode(b"ann:secret").decode()).status == 200
        assert registry.requests()[-1].headers["Authorization"] == "Basic", "the log holds no password"


def token(registry: FakeRegistry, scope: str, authorization: str = "") -> str:
    headers = {"Authorization": authorization} if authorization else {}
    said = at(registry).ask("GET", f"/token?service=any&scope={scope}", None, **headers)
    assert said.status == 200, said
    return f"Bearer {said.document['token']}"


ANN = "Basic " + base64.b64encode(b"ann:secret").decode()


def test_bearer_tokens_have_scopes_and_expire() -> None:
    now = 1000.0
    with FakeRegistry(auth=Bearer("ann", "secret", lifetime=60.0, clock=lambda: now)) as registry:
        registry.add_blob("team/digits", DATA)
        challenge = get(registry).headers["www-authenticate"]
        assert challenge.startswith(f'Bearer realm="{registry.url}/token"')
        assert 'scope="repository:team/digits:pull"' in challenge
        pull = token(registry, "repository:team/digits:pull", ANN)
        assert get(registry, Authorization=pull).status == 200
        assert at(registry).ask("POST", "blobs/uploads/", Authorization=pull).status == 401
        assert at(registry, "team/other").ask("GET", "tags/list", Authorization=pull).status == 401
        both = token(registry, "repository:team/digits:pull,push", ANN)
        assert at(registry).ask("POST", "blobs/uploads/", Authorization=both).status == 202
        now += 60.0
        assert get(registry, Authorization=pull).status == 401


def test_tokens_for_nobody_and_for_who_is_wrong() -> None:
    with FakeRegistry(auth=Bearer("ann", "secret", anonymous={"pull"})) as registry:
        registry.add_blob("team/digits", DATA)
        nobody = token(registry, "repository:team/digits:pull,push")
        assert get(registry, Authorization=nobody).status == 200
        assert at(registry).ask("POST", "blobs/uploads/", Authorization=nobody).status == 401
        assert at(registry).ask("GET", "/token?scope=x", Authorization="Basic eDp5").status == 401


@pytest.mark.parametrize(
    "form, status",
    [
        (b"grant_type=refresh_token&refresh_token=long&scope=repository:team/digits:pull", 200),
        (b"grant_type=refresh_token&refresh_token=wrong&scope=repository:team/digits:pull", 401),
        (b"grant_type=password&username=ann&password=secret&scope=repository:team/digits:pull", 200),
    ],
)
def test_tokens_for_a_refresh_token(form: bytes, status: int) -> None:
    with FakeRegistry(auth=Bearer("ann", "secret", identity="long")) as registry:
        registry.add_blob("team/digits", DATA)
        said = at(registry).ask("POST", "/token", form, Content_Type="application/x-www-form-urlencoded")
        assert said.status == status
        if status == 200:
            assert get(registry, Authorization=f"Bearer {said.document['access_token']}").status == 200


def test_expired_tokens() -> None:
    auth = Bearer("ann", "secret")
    with FakeRegistry(auth=auth) as registry:
        registry.add_blob("team/digits", DATA)
        pull = token(registry, "repository:team/digits:pull", ANN)
        registry.fail(ExpiredToken(), times=1)
        assert get(registry, Authorization=pull).status == 401
        assert get(registry, Authorization=pull).status == 200
        auth.expire()
        assert get(registry, Authorization=pull).status == 401


# -- what it counts and holds


def test_it_counts_what_travels(registry: FakeRegistry) -> None:
    at(registry).push(b"x" * 500)
    get(registry, Range="bytes=0-99")
    assert registry.requests("PUT").received == 500
    assert registry.requests("GET", "*/blobs/*").sent == 100
    [only] = registry.requests("GET")
    assert (only.path, only.status, only.headers["Range"]) == (f"/v2/team/digits/blobs/{DIGEST}", 206, "bytes=0-99")
    assert len(registry.requests()[:2]) == 2
    registry.forget()
    assert list(registry.requests()) == []


def test_what_lies_and_what_is_not_there(registry: FakeRegistry) -> None:
    registry.add_blob("team/digits", b"a lie", digest=Digest.of(b"the truth"))
    assert registry.blob("team/digits", Digest.of(b"the truth")) == b"a lie"
    assert registry.blob("team/digits", Digest.of(b"nothing")) is None
    assert registry.manifest("team/digits", "latest") is None
    assert (registry.manifest("nobody", "latest"), registry.tags("nobody"), registry.blobs("nobody")) == (
        None,
        {},
        frozenset(),
    )
    digest = registry.add_manifest("team/digits", b"{" * 10_000_000, tag="large")
    assert registry.tags("team/digits") == {"large": digest}
    assert at(registry).ask("HEAD", "manifests/large").headers["content-length"] == "10000000"


def test_uploads_can_be_lost(registry: FakeRegistry) -> None:
    location = at(registry).begin()
    assert registry.uploads == 1
    registry.lose_uploads()
    assert at(registry).ask("GET", location).status == 404


def test_a_folder_holds_the_contents(tmp_path: Path) -> None:
    with FakeRegistry(folder=tmp_path) as registry:
        at(registry).push(DATA)
        at(registry).ask("DELETE", at(registry).begin())
        assert [one.name for one in tmp_path.iterdir()] == [DIGEST.hex]


def test_it_works_in_a_coroutine() -> None:
    async def ask() -> int:
        with FakeRegistry() as registry:
            said = await asyncio.to_thread(at(registry).ask, "GET", "/v2/")
        return said.status

    assert asyncio.run(ask()) == 200


def test_what_is_no_part_of_a_registry(registry: FakeRegistry) -> None:
    assert at(registry).ask("GET", "/").status == 404
    assert at(registry).ask("PUT", "tags/list").status == 405
    refused = at(registry, "Team/digits").ask("GET", "tags/list")
    assert (refused.status, refused.document["errors"][0]["code"]) == (400, "NAME_INVALID")
    location = at(registry).begin()
    assert at(registry).ask("PATCH", location.partition("?")[0], b"x").status == 400, "the query comes back"


# -- what it reads


@pytest.mark.parametrize(
    "header, expected",
    [
        (None, None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=90-1000", (90, 10)),
        ("bytes=-5", (95, 5)),
        ("bytes=-500", (0, 100)),
        ("bytes=9-0", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int] | None) -> None:
    assert span(header, 100) == expected


@pytest.mark.parametrize("header, size", [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-0", 0)])
def test_ranges_that_nothing_satisfies(header: str, size: int) -> None:
    with pytest.raises(NotSatisfiable):
        span(header, size)


def test_other_heads() -> None:
    assert (chunk_range(None), chunk_range("0-9"), chunk_range("bytes 5-9/*")) == (None, (0, 9), (5, 9))
    for wrong in ("9-5", "x"):
        with pytest.raises(ValueError, match=wrong):
            chunk_range(wrong)
    assert (page("abc", n=2, last=None), page("abc", n=2, last="b")) == ((["a", "b"], True), (["c"], False))
    assert page("abc", n=0, last=None) == ([], False)
    assert accepts(None, "a/b") and accepts("x/y, a/b;q=0.5", "a/b") and not accepts("x/y", "a/b")
