"""Each verb: what is sent, and what is made of the answer."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from shipway.cluster.kubernetes.api.client import Event, Expired
from shipway.cluster.kubernetes.api.refusals import FieldsOwned
from shipway.cluster.kubernetes.api.resources import DEPLOYMENTS, NODES, PODS
from shipway.errors import ClusterUnreachable, Conflict, NotFound, UserError
from tests.cluster.kubernetes.api.scripted import line, page, pod, refuses, says, served, streams

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "digits", "namespace": "ml"}}


def test_a_list_comes_in_pages_and_each_object_says_what_it_is() -> None:
    async def go() -> None:
        first, second = page(pod("a", "1"), version="9", token="more"), page(pod("b", "2"), version="9")
        async with served(first, second) as script, script.api() as api:
            listing = await api.list(PODS, namespace="ml", labels="x=y", limit=1)
        assert [(one["kind"], one["apiVersion"], one["metadata"]["name"]) for one in listing.items] == [
            ("Pod", "v1", "a"),
            ("Pod", "v1", "b"),
        ]
        assert listing.resource_version == "9"
        assert [one.query for one in script.seen] == [
            {"limit": "1", "labelSelector": "x=y"},
            {"limit": "1", "labelSelector": "x=y", "continue": "more"},
        ]

    asyncio.run(go())


def test_a_list_whose_moment_is_forgotten_begins_again_and_the_third_time_in_one_piece() -> None:
    async def go() -> None:
        start, gone = page(pod("a", "1"), version="9", token="more"), refuses(410, "expired", "Expired")
        async with served(start, gone, start, gone, page(pod("b", "2"), version="12")) as script, script.api() as api:
            listing = await api.list(PODS, namespace="ml")
        assert [one["metadata"]["name"] for one in listing.items] == ["b"]
        assert [one.query.get("limit") for one in script.seen] == ["500", "500", "500", "500", None]

    asyncio.run(go())


def test_what_is_made_of_an_object_is_kept_instead_of_it() -> None:
    async def go() -> None:
        async with served(page(pod("a", "1"), version="9")) as script, script.api() as api:
            listing = await api.list(NODES, into=lambda one: one["metadata"]["name"])
        assert listing.items == ("a",)
        assert script.seen[0].path == "/api/v1/nodes"

    asyncio.run(go())


def test_a_watch_is_cut_into_events_wherever_the_pieces_end() -> None:
    whole = line("ADDED", name="a", resourceVersion="2") + line("BOOKMARK", resourceVersion="5")

    async def go() -> None:
        accepted = []
        async with served(streams(whole[:7], whole[7:70], whole[70:])) as script, script.api() as api:
            watch = api.watch(PODS, namespace="ml", resource_version="1", accepted=lambda: accepted.append(1))
            found = [event async for event in watch]
        assert found == [
            Event("ADDED", {"metadata": {"name": "a", "resourceVersion": "2"}}),
            Event("BOOKMARK", {"metadata": {"resourceVersion": "5"}}),
        ]
        assert accepted == [1]
        query = script.seen[0].query
        assert (query["watch"], query["allowWatchBookmarks"], query["resourceVersion"]) == ("1", "true", "1")

    asyncio.run(go())


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_forgotten_version_is_told_apart(when: str) -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (7)"}
    late = streams(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
    answer = late if when == "later" else refuses(410, "too old resource version: 1 (7)", "Expired")

    async def go() -> None:
        async with served(answer) as script, script.api() as api:
            with pytest.raises(Expired, match="too old"):
                _ = [event async for event in api.watch(PODS, namespace="ml", resource_version="1")]

    asyncio.run(go())


def test_a_watch_that_breaks_gives_what_came_whole_and_is_not_tried_again() -> None:
    async def go() -> None:
        answer = streams(line("ADDED", name="a", resourceVersion="2"), b'{"type": "MODI', broken=True)
        async with served(answer) as script, script.api() as api:
            watch = api.watch(PODS, namespace="ml")
            assert (await anext(watch)).type == "ADDED"
            with pytest.raises(ClusterUnreachable, match="the connection broke"):
                await anext(watch)
            assert len(script.seen) == 1

    asyncio.run(go())


def test_a_line_of_a_log_that_broke_off_is_not_given() -> None:
    async def go() -> None:
        async with served(streams(b"t1 one\nt2 tw", b"o\nt3 thr", broken=True)) as script, script.api() as api:
            log = api.logs("a", "ml", "main", follow=True)
            assert [await anext(log), await anext(log)] == [b"t1 one", b"t2 two"]
            with pytest.raises(ClusterUnreachable):
                await anext(log)

    asyncio.run(go())


def test_the_last_line_of_a_log_needs_no_newline_and_empty_lines_are_lines() -> None:
    async def go() -> None:
        since = datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC)
        async with served(streams(b"t1 one\n\nt2 two")) as script, script.api() as api:
            found = [one async for one in api.logs("a", "ml", "main", since_time=since, tail=5, previous=True)]
        assert found == [b"t1 one", b"", b"t2 two"]
        assert script.seen[0].path == "/api/v1/namespaces/ml/pods/a/log"
        assert script.seen[0].query == {
            "container": "main",
            "previous": "true",
            "timestamps": "true",
            "sinceTime": "2026-11-22T10:00:01Z",
            "tailLines": "5",
        }

    asyncio.run(go())


def test_a_container_that_has_not_started_has_no_log() -> None:
    said = 'container "main" in pod "a" is waiting to start: ContainerCreating'

    async def go() -> None:
        async with served(refuses(400, said, "BadRequest")) as script, script.api() as api:
            with pytest.raises(UserError, match="waiting to start"):
                await anext(api.logs("a", "ml", "main"))

    asyncio.run(go())


def test_apply_is_server_side_in_our_name() -> None:
    async def go() -> None:
        async with served(says(DEPLOYMENT)) as script, script.api() as api:
            await api.apply(DEPLOYMENT, force=True, dry_run=True)
        (seen,) = script.seen
        assert (seen.method, seen.path) == ("PATCH", "/apis/apps/v1/namespaces/ml/deployments/digits")
        assert seen.query == {"fieldManager": "shipway", "force": "true", "dryRun": "All"}
        assert seen.headers["Content-Type"] == "application/apply-patch+yaml"
        assert json.loads(seen.body) == DEPLOYMENT

    asyncio.run(go())


def test_fields_of_others_are_told_one_by_one() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl" using apps/v1',
            "field": ".spec.replicas",
        }
    ]

    async def go() -> None:
        async with (
            served(refuses(409, "Apply failed with 1 conflict", "Conflict", causes=causes)) as script,
            script.api() as api,
        ):
            with pytest.raises(FieldsOwned, match=r"kubectl manages fields of deployments\.apps \"digits\"") as caught:
                await api.apply(DEPLOYMENT)
        assert [(one.manager, one.field) for one in caught.value.causes] == [("kubectl", ".spec.replicas")]
        assert caught.value.to_json()["code"] == "Conflict"

    asyncio.run(go())


def test_delete_says_whether_it_was_there_and_can_mean_one_object_only() -> None:
    async def go() -> None:
        there, gone = says({"kind": "Status"}), refuses(404, "not found", "NotFound", name="digits", kind="deployments")
        other = refuses(409, "the UID in the precondition is another", "Conflict")
        async with served(there, gone, other) as script, script.api() as api:
            assert await api.delete(DEPLOYMENTS, "digits", namespace="ml", uid="u-1")
            assert not await api.delete(DEPLOYMENTS, "digits", namespace="ml")
            with pytest.raises(Conflict, match="precondition"):
                await api.delete(DEPLOYMENTS, "digits", namespace="ml", uid="u-0")
        assert json.loads(script.seen[0].body) == {"propagationPolicy": "Background", "preconditions": {"uid": "u-1"}}

    asyncio.run(go())


def test_what_is_not_there_is_none_but_a_missing_namespace_is_told_when_writing() -> None:
    async def go() -> None:
        missing = refuses(404, 'namespaces "ml" not found', "NotFound", name="ml", kind="namespaces")
        gone = refuses(404, "not found", "NotFound", name="a", kind="pods")
        async with served(gone, missing) as script, script.api() as api:
            assert await api.get(PODS, "a", "ml") is None
            with pytest.raises(NotFound, match='There is no namespace "ml"') as caught:
                await api.apply(DEPLOYMENT)
        assert caught.value.next_step == "Make it: kubectl --context prod create namespace ml"

    asyncio.run(go())


def test_patch_of_a_subresource_and_raw() -> None:
    async def go() -> None:
        async with served(says(DEPLOYMENT), says({"gitVersion": "v1.36.2"})) as script, script.api() as api:
            await api.patch(DEPLOYMENTS, "digits", {"spec": {"replicas": 2}}, namespace="ml", subresource="scale")
            assert await api.version() == "v1.36.2"
        assert script.seen[0].path == "/apis/apps/v1/namespaces/ml/deployments/digits/scale"
        assert script.seen[0].headers["Content-Type"] == "application/merge-patch+json"

    asyncio.run(go())
