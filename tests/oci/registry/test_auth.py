"""Tokens and passwords: who gets to see them, and for how long."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import pytest

from shipway.errors import RegistryBroken, RegistryRefused
from shipway.oci import Layout
from shipway.oci.registry import auth
from shipway.oci.registry.auth import Authorizer, Shown, TokenRequest, loopback, token, token_request
from shipway.oci.registry.challenge import Challenge
from shipway.oci.registry.credentials import Credential
from shipway.testing.registry import Bearer, ExpiredToken, FakeRegistry, Quirks
from tests.oci.registry.faulty import REPOSITORY, Artifact, artifact, client, pull, push, reference

PULL, PUSH = frozenset({"repository:a:pull"}), frozenset({"repository:a:pull,push"})
CHALLENGE = 'Bearer realm="https://auth.example/token?x=1",service="reg"'


class Known:
    """One credential for everybody."""

    def __init__(self, credential: Credential | None) -> None:
        self._credential = credential

    async def of(self, host: str) -> Credential | None:
        return self._credential


class Tokens:
    """A token server that counts."""

    def __init__(self, lasts: int = 300) -> None:
        self.asked: list[TokenRequest] = []
        self._lasts = lasts

    async def __call__(self, host: str, request: TokenRequest) -> bytes:
        self.asked.append(request)
        await asyncio.sleep(0)
        return b'{"token": "t%d", "expires_in": %d}' % (len(self.asked), self._lasts)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return artifact(tmp_path_factory.mktemp("made"))


def test_a_token_is_asked_for_with_service_scopes_and_password() -> None:
    wanted = Challenge("bearer", {"realm": "https://auth.example/token?x=1", "service": "reg"})
    asked = token_request(wanted, ["repository:a/b:pull", "repository:c:pull"], Credential("me", "pw"))
    assert asked.url == (
        "https://auth.example/token?x=1&service=reg&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull"
    )
    assert asked.form is None and asked.basic == "Basic " + base64.b64encode(b"me:pw").decode()
    assert token_request(wanted, [], None).basic is None


def test_an_identity_token_is_posted() -> None:
    wanted = Challenge("bearer", {"realm": "https://auth.example/token", "service": "reg"})
    asked = token_request(wanted, ["s1", "s2"], Credential(identity_token="id"))
    assert asked.form == {
        "grant_type": "refresh_token",
        "client_id": "shipway",
        "refresh_token": "id",
        "service": "reg",
        "scope": "s1 s2",
    }
    assert asked.basic is None


@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.example/token",
        "ftp://x",
        "auth.example",
        "",
        "https://",
        "http://[",
        "http://127.0.0.1.evil.example/",
    ],
)
def test_nobody_is_told_a_secret_without_tls(realm: str) -> None:
    with pytest.raises(RegistryBroken, match="credentials were not sent"):
        token_request(Challenge("bearer", {"realm": realm}), [], Credential("me", "pw"))


def test_this_machine_is_trusted() -> None:
    assert all(map(loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "reg.localhost")))
    assert not any(map(loopback, ("localhost.example", "10.0.0.1", "", "0.0.0.0", "::")))
    assert token_request(Challenge("bearer", {"realm": "http://127.0.0.1:1/token"}), [], None)


def test_a_tokens_life() -> None:
    assert token(b'{"token":"t","expires_in":300}', 1000.0) == Shown("Bearer t", 1290.0)
    assert token(b'{"access_token":"t","expires_in":4}', 1000.0) == Shown("Bearer t", 1002.0)
    assert token(b'{"token":"t"}', 1000.0) == Shown("Bearer t", 1050.0)


NO_TOKENS = (b"", b"{}", b"[]", b'{"token": 7}', b'{"token": "a\\r\\nX: y"}', b'{"token": ""}', b'{"token":"\xc3\xa4"}')


@pytest.mark.parametrize("body", NO_TOKENS)
def test_what_is_no_token(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json has texts of its own
        token(body, 0.0)


def _authorizer(tokens: Tokens, now: Sequence[float] = (0.0,), credential: Credential | None = None) -> Authorizer:
    clock = list(now)
    return Authorizer("reg.example", Known(credential), tokens, lambda: clock.pop(0) if len(clock) > 1 else clock[0])


def test_one_token_for_each_set_of_scopes_and_once_at_a_time() -> None:
    tokens = Tokens()

    async def run() -> None:
        asking = _authorizer(tokens)
        assert await asking.header(PULL) is None, "nobody asked"
        asking.learn(None, PULL, [CHALLENGE])
        assert set(await asyncio.gather(*(asking.header(PULL) for _ in range(9)))) == {"Bearer t1"}
        assert await asking.header(PUSH) == "Bearer t2"
        assert await asking.header(PULL) == "Bearer t1"

    asyncio.run(run())
    assert len(tokens.asked) == 2


def test_a_token_that_ended_is_not_shown() -> None:
    async def run() -> None:
        tokens = Tokens(lasts=100)
        asking = _authorizer(tokens, now=(0.0, 89.0, 90.0, 90.0))
        asking.learn(None, PULL, [CHALLENGE])
        assert [await asking.header(PULL) for _ in range(3)] == ["Bearer t1", "Bearer t1", "Bearer t2"]

    asyncio.run(run())


def test_a_token_that_was_refused_is_given_up_once_for_all() -> None:
    async def run() -> None:
        asking = _authorizer(Tokens())
        asking.learn(None, PULL, [CHALLENGE])
        assert await asking.header(PULL) == "Bearer t1"
        asking.learn("Bearer t1", PULL, [CHALLENGE])
        assert await asking.header(PULL) == "Bearer t2"
        asking.learn("Bearer t1", PULL, [CHALLENGE])  # another request that was under way with the old one
        assert await asking.header(PULL) == "Bearer t2"

    asyncio.run(run())


def test_a_password_is_shown_to_who_asks_for_one() -> None:
    async def run() -> None:
        asking = _authorizer(Tokens(), credential=Credential("me", "pw"))
        asking.learn(None, PULL, ['Basic realm="x"'])
        assert await asking.header(PULL) == auth.basic(Credential("me", "pw"))
        nobody = _authorizer(Tokens())
        nobody.learn(None, PULL, ['Basic realm="x"'])
        assert await nobody.header(PULL) is None

    asyncio.run(run())


def test_an_identity_token_opens_a_registry(made: Artifact) -> None:
    known = Known(Credential(identity_token="refresh-me"))
    with FakeRegistry(auth=Bearer("ann", "secret", identity="refresh-me")) as registry:
        asyncio.run(push(registry, made, credentials=known))
        assert made.is_at(registry)
        assert registry.requests("POST", "/token") and not registry.requests("GET", "/token")


def test_without_credentials_what_is_public_is_read_and_nothing_written(made: Artifact) -> None:
    with FakeRegistry(auth=Bearer("ann", "secret", anonymous=["pull"])) as registry:
        made.into(registry)

        async def run() -> None:
            async with client() as asking:
                assert await asking.tags(reference(registry)) == ("1",)
                with pytest.raises(RegistryRefused, match="401") as refused:
                    await asking.push(made.layout, made.root, reference(registry, "2"))
                assert f"repository:{REPOSITORY}:pull,push" in refused.value.next_step
                assert f"docker login {registry.host}" in refused.value.next_step

        asyncio.run(run())
        assert set(registry.tags(REPOSITORY)) == {"1"}


@pytest.mark.parametrize("path", ["*/blobs/uploads/*", "*/manifests/*"])
def test_a_token_that_ends_in_the_middle_of_a_push(made: Artifact, path: str) -> None:
    known = Known(Credential("ann", "secret"))
    with FakeRegistry(auth=Bearer("ann", "secret")) as registry:
        for method in ("PATCH", "PUT", "POST"):
            registry.fail(ExpiredToken(), method=method, path=path, times=1)
        asyncio.run(push(registry, made, credentials=known))
        assert made.is_at(registry)


def test_the_storage_behind_a_registry_never_sees_a_token(made: Artifact) -> None:
    with FakeRegistry(Quirks(redirects=True), auth=Bearer("ann", "secret")) as registry:
        made.into(registry)
        layout = Layout(made.layout.root.parent / "pulled")
        asyncio.run(pull(registry, layout, credentials=Known(Credential("ann", "secret"))))
        stored = registry.requests("GET", "/storage/*")
        assert stored and not any("Authorization" in one.headers for one in stored)
        assert all("Authorization" in one.headers for one in registry.requests("GET", "/v2/*/blobs/*"))
