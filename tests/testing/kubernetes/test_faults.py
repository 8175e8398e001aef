"""What can be made to go wrong with the fake API server."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from shipway.testing.kubernetes import FakeKubernetes, answers
from tests.testing.kubernetes.asking import MAPS, Client, client_of, config_map, with_server


def test_too_many_requests_as_often_as_asked() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.faults.too_many("create", "configmaps", times=2, retry_after=3)
        for _ in range(2):
            async with client.session.post(MAPS, json=config_map("a")) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (429, "3")
        assert (await client.ask("GET", MAPS))[0] == 200
        assert (await client.ask("POST", MAPS, config_map("a")))[0] == 201

    with_server(check)


def test_an_error_after_the_write() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.faults.error(500, "create", done=True)
        status, body = await client.ask("POST", MAPS, config_map("a"))
        assert (status, body["message"]) == (500, "etcdserver: leader changed")
        assert (await client.ask("POST", MAPS, config_map("a")))[0] == 409

    with_server(check)


def test_a_connection_that_is_reset() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.faults.reset("create")  # aiohttp itself repeats a GET
        with pytest.raises(aiohttp.ClientError):
            await client.ask("POST", MAPS, config_map("a"))
        assert (await client.ask("GET", f"{MAPS}/a"))[0] == 404

    with_server(check)


def test_a_refusal_of_a_webhook_until_it_is_lifted() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        maps = server.schema.named("configmaps")
        why = 'admission webhook "no.example.com" denied the request: no'
        fault = server.faults.refuse(answers.forbidden(maps, "a", why), "create", times=None)
        for _ in range(2):
            assert why in (await client.ask("POST", MAPS, config_map("a")))[1]["message"]
        server.faults.lift(fault)
        assert (await client.ask("POST", MAPS, config_map("a")))[0] == 201

    with_server(check)


def test_a_watch_is_cut_after_so_many_events() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        for name in "abc":
            server.create("configmaps", config_map(name), "default")
        server.faults.cut(2)
        async with client.session.get(f"{MAPS}?watch=1") as answer:
            lines = [json.loads(await answer.content.readline())["object"]["metadata"]["name"] for _ in range(2)]
            with pytest.raises(aiohttp.ClientError):
                await answer.content.readline()
        assert lines == ["a", "b"]

    with_server(check)


def test_a_watch_from_before_what_is_kept_is_told_410() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        before = server.storage.version
        server.create("configmaps", config_map("a"), "default")
        _, page = await client.ask("GET", "/api/v1/namespaces?limit=1")
        server.compact()
        (event,) = await client.lines(f"{MAPS}?watch=1&resourceVersion={before}", 5)
        assert (json.loads(event)["type"], json.loads(event)["object"]["code"]) == ("ERROR", 410)
        token = page["metadata"]["continue"]
        status, body = await client.ask("GET", f"/api/v1/namespaces?limit=1&continue={token}")
        assert (status, body["reason"]) == (410, "Expired")

    with_server(check)


def test_a_watch_that_stands_is_told_410_too() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        events = asyncio.create_task(client.lines(f"{MAPS}?watch=1&resourceVersion={server.storage.version}", 5))
        while not server.requests:
            await asyncio.sleep(0)
        server.create("configmaps", config_map("unseen"), "default")
        server.compact()
        assert json.loads((await events)[-1])["object"]["reason"] == "Expired"

    with_server(check)


def test_bookmarks_when_they_are_wanted() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.create("configmaps", config_map("a"), "default")
        events = asyncio.create_task(client.lines(f"{MAPS}?watch=1&allowWatchBookmarks=true", 2))
        while not server.requests:
            await asyncio.sleep(0)
        server.reads.bookmark()
        bookmark = json.loads((await events)[1])
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["resourceVersion"] == str(server.storage.version)

    with_server(check)


def test_away_and_back_with_all_that_it_knew() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.create("configmaps", config_map("a"), "default")
        port = server.port
        async with client.session.get(f"{MAPS}?watch=1") as watch:
            await watch.content.readline()
            await server.away()
            with pytest.raises(aiohttp.ClientError):
                await watch.content.readline()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("GET", MAPS)
        await server.back()
        assert server.port == port
        assert (await client.ask("GET", f"{MAPS}/a"))[0] == 200

    with_server(check)


def test_slow_answers() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.faults.slow(60.0, "list", times=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.ask("GET", MAPS)
        assert (await client.ask("GET", MAPS))[0] == 200

    with_server(check)


def test_a_token_that_expired() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        server.access.token = "another"
        assert await client.ask("GET", MAPS) == (401, answers.unauthorized().status())
        async with client_of(server) as known:
            assert (await known.ask("GET", MAPS))[0] == 200

    with_server(check)


IMAGE_POD = {
    "metadata": {"name": "a"},
    "spec": {
        "containers": [{"name": "main", "image": "i:1"}],
        "volumes": [{"name": "model", "image": {"reference": "r@sha256:1"}}],
    },
}


def test_a_server_that_has_not_heard_of_image_volumes() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        path = "/api/v1/namespaces/default/pods?dryRun=All"
        assert (await client.ask("POST", path, IMAGE_POD))[1]["spec"]["volumes"][0]["image"]["reference"]
        server.schema.gate("core.v1.Volume", "image")
        assert "image" not in (await client.ask("POST", path, IMAGE_POD))[1]["spec"]["volumes"][0]
        server.schema.without("core.v1.Volume", "image")
        async with client.session.post(path, json=IMAGE_POD) as answer:
            assert 'unknown field \\"spec.volumes[0].image\\"' in answer.headers["Warning"]

    with_server(check)


def test_a_kind_of_somebody_else() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        route = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
        assert (await client.ask("GET", route))[0] == 404
        server.offer("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
        assert (await client.ask("GET", route))[1]["kind"] == "HTTPRouteList"
        groups = (await client.ask("GET", "/apis"))[1]["groups"]
        assert "gateway.networking.k8s.io" in {one["name"] for one in groups}

    with_server(check)


def test_requests_are_remembered() -> None:
    async def check(server: FakeKubernetes, client: Client) -> None:
        await client.ask("POST", MAPS, config_map("a"))
        await client.ask("POST", f"{MAPS}?dryRun=All", config_map("b"))
        await client.ask("GET", MAPS)
        assert server.written() == {"create": 1}
        assert [one.verb for one in server.requests] == ["create", "create", "list"]
        assert server.requests[0].body["metadata"]["name"] == "a"

    with_server(check)
