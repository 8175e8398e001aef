"""Tries, credentials and warnings of a request."""

from __future__ import annotations

import asyncio
import gzip
import socket

import pytest
from aiohttp import web

from shipway.cluster.kubernetes.api.login import Certified, Credential, Fixed
from shipway.cluster.kubernetes.api.resources import PODS
from shipway.errors import ClusterRefused, ClusterUnreachable
from tests.cluster.kubernetes.api.scripted import Answer, Script, drops, pod, refuses, says, served
from tests.cluster.kubernetes.api.test_oidc import jwt
from tests.cluster.kubernetes.api.test_tls import certificate

POD = {"apiVersion": "v1", "kind": "Pod", **pod("a", "1")}


@pytest.mark.parametrize(
    "trouble",
    [drops, refuses(503, "apiserver is shutting down"), refuses(500, "etcdserver: leader changed"), says("proxy", 502)],
    ids=["dropped", "503", "500", "502 of a proxy"],
)
def test_reading_is_tried_again(trouble: Answer) -> None:
    async def go() -> None:
        async with served(trouble, trouble, says(POD)) as script, script.api() as api:
            assert await api.get(PODS, "a", "ml") == POD
            assert len(script.seen) == 3

    asyncio.run(go())


def test_five_tries_are_all() -> None:
    async def go() -> None:
        async with served(refuses(503, "etcd is away")) as script, script.api() as api:
            with pytest.raises(ClusterUnreachable, match=r'context prod.*get pods "a" in namespace "ml": etcd is away'):
                await api.get(PODS, "a", "ml")
            assert len(script.seen) == 5
            assert script.waited == [0.25, 0.5, 1.0, 2.0]  # half of each: the lowest chance

    asyncio.run(go())


def test_retry_after_is_a_floor_and_holds_for_writing_too() -> None:
    async def go() -> None:
        busy = refuses(429, "too many requests", headers={"Retry-After": "3"})
        async with served(busy, says(POD)) as script, script.api() as api:
            assert await api.create(POD) == POD
            assert script.waited == [3.0]

    asyncio.run(go())


def test_a_server_that_wants_us_to_wait_too_long_is_not_waited_for() -> None:
    async def go() -> None:
        async with served(refuses(429, "busy", headers={"Retry-After": "3600"})) as script, script.api() as api:
            with pytest.raises(ClusterUnreachable, match="busy"):
                await api.get(PODS, "a", "ml")
            assert script.waited == []

    asyncio.run(go())


@pytest.mark.parametrize("trouble", [drops, refuses(503, "shutting down")], ids=["dropped", "503"])
def test_nobody_knows_whether_a_broken_create_was_done_so_it_is_not_tried_again(trouble: Answer) -> None:
    async def go() -> None:
        async with served(trouble, says(POD)) as script, script.api() as api:
            with pytest.raises(ClusterUnreachable):
                await api.create(POD)
            assert len(script.seen) == 1

    asyncio.run(go())


def test_apply_is_tried_again() -> None:
    async def go() -> None:
        async with served(drops, says(POD)) as script, script.api() as api:
            assert await api.apply(POD) == POD
            assert len(script.seen) == 2

    asyncio.run(go())


class Renewing:
    """A login whose first token is an old one."""

    def __init__(self) -> None:
        self.token = 1

    async def credential(self) -> Credential:
        return Credential(f"Bearer secret-{self.token}")

    def refused(self, credential: Credential) -> None:
        if credential == Credential(f"Bearer secret-{self.token}"):
            self.token += 1


def test_a_refused_credential_is_renewed_once() -> None:
    async def go() -> None:
        async with served(refuses(401), says(POD)) as script, script.api(Renewing()) as api:
            assert await api.create(POD) == POD
            assert [one.headers["Authorization"] for one in script.seen] == ["Bearer secret-1", "Bearer secret-2"]

    asyncio.run(go())


@pytest.mark.parametrize("login, requests", [(Renewing(), 2), (Fixed("Bearer secret-1"), 1)])
def test_credentials_that_stay_refused_are_told_without_them(login: Renewing | Fixed, requests: int) -> None:
    async def go() -> None:
        async with served(refuses(401)) as script, script.api(login) as api:
            with pytest.raises(ClusterRefused, match="does not accept the token of anna") as caught:
                await api.get(PODS, "a", "ml")
            assert (caught.value.status, len(script.seen)) == (401, requests)
            assert "kubectl --context prod auth whoami" in caught.value.next_step
            assert "secret" not in str(caught.value) + repr(api.access)

    asyncio.run(go())


@pytest.mark.parametrize("way", ["token", "certificate"])
def test_a_credential_that_has_expired_is_told_with_its_end(way: str) -> None:
    inner = Fixed(f"Bearer {jwt(exp=1767225600)}" if way == "token" else "")
    old = certificate(days=-1)
    login = inner if way == "token" else Certified(inner, lambda: old.chain, lambda: old.key)

    async def go() -> None:
        async with served(refuses(401)) as script, script.api(login) as api:
            with pytest.raises(
                ClusterRefused, match=r"does not accept the token of anna: it expired at 20\d\d-.* UTC\."
            ):
                await api.get(PODS, "a", "ml")

    asyncio.run(go())


def test_warnings_are_kept_once() -> None:
    async def go() -> None:
        warned = says(POD, headers={"Warning": '299 - "would violate PodSecurity \\"restricted\\""'})
        async with served(warned) as script, script.api() as api:
            await api.get(PODS, "a", "ml")
            await api.get(PODS, "a", "ml")
            assert api.warnings == ('would violate PodSecurity "restricted"',)

    asyncio.run(go())


def test_compressed_answers_are_read() -> None:
    async def compressed(request: web.Request) -> web.StreamResponse:
        body = gzip.compress(b'{"metadata": {"name": "a"}}')
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async def go() -> None:
        async with served(compressed) as script, script.api() as api:
            assert await api.get(PODS, "a", "ml") == {"metadata": {"name": "a"}}
            assert script.seen[0].headers["Accept-Encoding"] == "gzip"

    asyncio.run(go())


def test_one_connection_serves_all_that_come_one_after_the_other() -> None:
    ports = []

    async def remember(request: web.Request) -> web.StreamResponse:
        assert request.transport
        ports.append(request.transport.get_extra_info("peername")[1])
        return web.json_response(POD)

    async def go() -> None:
        async with served(remember) as script, script.api() as api:
            for _ in range(3):
                await api.get(PODS, "a", "ml")

    asyncio.run(go())
    assert len(set(ports)) == 1


def test_eight_requests_at_once_are_all() -> None:
    most = now = 0

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response(POD)

    async def go() -> None:
        async with served(slow) as script, script.api() as api:
            await asyncio.gather(*(api.get(PODS, "a", "ml") for _ in range(30)))

    asyncio.run(go())
    assert most == 8


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening: nobody else gets the port
        script = Script([], url=f"http://127.0.0.1:{taken.getsockname()[1]}")

        async def go() -> None:
            async with script.api() as api:
                with pytest.raises(ClusterUnreachable) as caught:
                    await api.version()
                assert (
                    caught.value.message == f"cluster {script.url} (context prod) does not answer: connection refused"
                )
                assert "is the cluster running" in caught.value.next_step

        asyncio.run(go())


def test_a_host_that_nobody_knows() -> None:
    async def go() -> None:
        async with Script([], url="https://cluster.invalid:6443").api() as api:
            with pytest.raises(ClusterUnreachable, match=r"cluster\.invalid.*its name cannot be resolved"):
                await api.version()

    asyncio.run(go())
