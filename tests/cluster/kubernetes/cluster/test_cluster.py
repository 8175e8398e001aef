"""KubernetesCluster beyond the suite: what it sends, what it fetches, and a server that goes away."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from shipway.bundle import LogLine, Observed
from shipway.controllers.metrics import MetricFollower
from shipway.errors import ClusterUnreachable, Conflict, NotFound, UserError, WorkloadFailed
from shipway.testing.cluster_suite import PRINT, SLEEP, job, server, until, until_ended, until_ready
from shipway.testing.journal import FakeJournal
from shipway.testing.kubernetes.acting import Act
from shipway.testing.kubernetes.answers import Refusal
from tests.cluster.kubernetes.cluster.place import NAMESPACE, OWNER, Place, place, some_terms

MODEL, DATA = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def run(scenario: Callable[[Place], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60), place() as here:
            await scenario(here)

    asyncio.run(bounded())


def writes(here: Place) -> list[str]:
    return [
        f"{one.verb} {one.path}" for one in here.server.requests if one.verb in ("patch", "create", "delete", "update")
    ]


def test_what_a_workload_needs_is_sent_where_the_nodes_find_it() -> None:
    async def scenario(here: Place) -> None:
        web = replace(
            server("web"), model=MODEL, inputs={"labels": f"{DATA}/labels.csv"}, secret_env={"DB": ("db", "PASSWORD")}
        )
        await here.cluster.apply(web)
        assert sorted(here.supplies.sent) == [(MODEL, "registry.example/team/web"), (DATA, "registry.example/team/web")]
        secret = here.server.get("secrets", "web-env", NAMESPACE)
        assert secret is not None
        assert {base64.b64decode(one) for one in secret["data"].values()} == {b"s3cret"}
        deployment = str(here.server.get("deployments", "web", NAMESPACE))
        assert f"registry.example/team/web@{MODEL}" in deployment
        assert "s3cret" not in deployment

    run(scenario)


def test_what_was_applied_costs_no_request() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web"))
        await until_ready(here.cluster, "web")
        asked = len(here.server.requests)
        await here.cluster.apply(server("web"))
        await here.cluster.observe("web")
        assert len(here.server.requests) == asked

    run(scenario)


def test_a_secret_with_another_value_exchanges_the_replicas() -> None:
    async def scenario(here: Place) -> None:
        web = replace(server("web"), secret_env={"DB": ("db", "PASSWORD")})
        await here.cluster.apply(web)
        before = here.server.get("deployments", "web", NAMESPACE)
        asked = len(writes(here))
        await here.cluster.apply(web)
        assert len(writes(here)) == asked
        here.cluster._secrets = lambda _: {"PASSWORD": "another"}
        await here.cluster.apply(web)
        after = here.server.get("deployments", "web", NAMESPACE)
        assert before is not None and after is not None
        assert before["spec"]["template"] != after["spec"]["template"]
        secret = here.server.get("secrets", "web-env", NAMESPACE)
        assert secret is not None and base64.b64decode(secret["data"]["DB"]) == b"another"

    run(scenario)


def test_what_is_refused() -> None:
    async def scenario(here: Place) -> None:
        bare = here.another()
        try:
            with pytest.raises(UserError, match="no terms"):
                await bare.apply(server("web"))
        finally:
            await bare.close()
        with pytest.raises(NotFound, match="no secret 'nobody'"):
            await here.cluster.apply(replace(server("web"), secret_env={"A": ("nobody", "B")}))
        with pytest.raises(WorkloadFailed, match="no replica of 'web' is ready"):
            await here.cluster.forward("web")
        assert not here.server.list("deployments")

    run(scenario)


@pytest.mark.thorough
def test_a_second_hub_is_refused_by_name_and_may_take_over() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web"))
        other = here.another("ba9876543210")
        try:
            with pytest.raises(Conflict, match=OWNER):
                await other.apply(server("web"), some_terms(server("web")))
            claimed = await other.claim(take_over=True)
            assert (claimed["owner"], claimed["before"]) == ("ba9876543210", OWNER)
            assert (await other.info()).owner == "ba9876543210"
            await other.apply(server("web"), some_terms(server("web")))
            with pytest.raises(Conflict, match="ba9876543210"):
                await here.cluster.apply(server("web", replicas=2))
        finally:
            await other.close()

    run(scenario)


@pytest.mark.thorough
def test_the_next_hub_of_the_same_home_finds_what_runs_and_fetches_what_ended() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(job("good", PRINT))
        ended = await until_ended(here.cluster, "good")
        next_one = here.another()
        try:
            assert (await until_ended(next_one, "good")).output == ended.output
            assert len(set(here.supplies.fetched)) == 1
        finally:
            await next_one.close()

    run(scenario)


@pytest.mark.thorough
def test_a_result_that_cannot_be_fetched_is_tried_again_and_told() -> None:
    async def scenario(here: Place) -> None:
        here.supplies.away = 1
        await here.cluster.apply(job("good", PRINT))
        late = await until(here.cluster, "good", lambda one: bool(one.reason))
        assert (late.phase, late.reason) == ("Running", "OutputDelayed")
        assert "registry.example does not answer" in late.message
        done = await until_ended(here.cluster, "good")
        assert (done.phase, done.reason, done.output) == ("Succeeded", "", str(here.supplies.folder))

    run(scenario)


@pytest.mark.thorough
def test_a_result_that_the_jobs_code_named_itself_is_not_fetched() -> None:
    async def scenario(here: Place) -> None:
        stranger = "evil.example/outputs@sha256:" + "e" * 64
        here.kubelet.play = lambda pod: Act(exit_code=0, message=json.dumps({"output": stranger}))
        await here.cluster.apply(job("good", PRINT))
        done = await until_ended(here.cluster, "good")
        assert (done.phase, done.reason, done.output) == ("Failed", "OutputRefused", "")
        assert stranger in done.message and here.supplies.fetched == []

    run(scenario)


@pytest.mark.slow
def test_metrics_of_a_job_that_ended_while_its_node_was_away_are_read_when_it_is_back() -> None:
    """A kubelet that was started a moment ago does not know the Pod yet, and the API server passes its 404 on."""

    async def scenario(here: Place) -> None:
        await here.cluster.apply(job("long", SLEEP))
        pod = (await until(here.cluster, "long", lambda one: bool(one.ready))).replicas[0].name
        details = {"name": pod, "kind": "pods/log"}
        unknown = Refusal(
            404, "NotFound", f"the server could not find the requested resource ( pods/log {pod})", details
        )
        here.server.faults.refuse(unknown, "get", "/log$", times=4)
        here.kubelet.write(NAMESPACE, pod, metric(7), "main")
        here.kubelet.end(NAMESPACE, pod, 0)
        follower = MetricFollower(FakeJournal())
        assert await follower.finish(here.cluster, "long", "ModelJob/long", "long") == {"loss": 7.0}

    run(scenario)


@pytest.mark.thorough
def test_diff_tells_what_apply_would_change() -> None:
    async def scenario(here: Place) -> None:
        web = server("web")
        new = await here.cluster.diff(web, some_terms(web))
        assert {"object": f"Deployment {NAMESPACE}/web", "field": "", "from": None, "to": "create"} in new
        await here.cluster.apply(web)
        wider = await here.cluster.diff(replace(web, replicas=2), some_terms(web))
        assert {"object": f"Deployment {NAMESPACE}/web", "field": ".spec.replicas", "from": 1, "to": 2} in wider

    run(scenario)


@pytest.mark.thorough
def test_objects_that_a_service_needs_no_more_are_pruned() -> None:
    async def scenario(here: Place) -> None:
        web = replace(server("web"), secret_env={"DB": ("db", "PASSWORD")})
        await here.cluster.apply(web)
        assert here.server.get("secrets", "web-env", NAMESPACE)
        await here.cluster.apply(server("web"))
        assert here.server.get("secrets", "web-env", NAMESPACE) is None

    run(scenario)


@pytest.mark.thorough
def test_while_the_server_is_away_all_is_as_last_seen() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web"))
        before = await until_ready(here.cluster, "web")
        await here.server.away()
        stale = await until(here.cluster, "web", lambda one: one.stale_since is not None)
        assert replace(stale, stale_since=None, notes=()) == before
        assert "answer" in stale.notes[-1] or "broke" in stale.notes[-1]
        assert await here.cluster.list() == (stale,)
        await here.server.back()
        assert await until(here.cluster, "web", lambda one: one.stale_since is None) == before

    run(scenario)


@pytest.mark.thorough
def test_credentials_that_expire_are_said_to_be_the_reason() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web"))
        await until_ready(here.cluster, "web")
        here.server.faults.refuse(Refusal(401, "Unauthorized", "Unauthorized"), "watch", times=None)
        await here.server.away()
        await here.server.back()
        stale = await until(here.cluster, "web", lambda one: "does not accept" in "".join(one.notes))
        assert stale.stale_since is not None
        assert stale.ready  # as last seen

    run(scenario)


@pytest.mark.thorough
def test_a_server_that_was_never_reached_is_an_error_and_no_delay_for_the_next() -> None:
    async def scenario(here: Place) -> None:
        await here.server.away()
        with pytest.raises(ClusterUnreachable) as first:
            await here.cluster.list()
        with pytest.raises(ClusterUnreachable) as second:
            await here.cluster.observe("web")
        assert second.value is first.value

    run(scenario)


def metric(step: int) -> str:
    return f'\x1eshipway-metrics {{"metrics": {{"loss": {step}}}, "step": {step}}}'


async def until_points(journal: FakeJournal, count: int) -> None:
    async with asyncio.timeout(30):
        while len(journal.points("ModelJob/long", run="long")) < count:
            await asyncio.sleep(0.01)


@pytest.mark.slow
def test_metrics_are_lost_none_and_repeated_none_by_broken_connections_and_another_hub() -> None:
    async def scenario(here: Place) -> None:
        journal = FakeJournal()
        await here.cluster.apply(job("long", SLEEP))
        pod = (await until(here.cluster, "long", lambda one: bool(one.ready))).replicas[0].name
        for step in range(5):
            here.kubelet.write(NAMESPACE, pod, metric(step), "main")
        here.server.faults.cut(3, "/log$", verb="get")
        follower = MetricFollower(journal)
        follower.follow(here.cluster, "long", "ModelJob/long", "long")
        await until_points(journal, 5)
        await here.server.away()
        for step in range(5, 10):
            here.kubelet.write(NAMESPACE, pod, metric(step), "main")
        await here.server.back()
        await until_points(journal, 10)
        await follower.stop()
        for step in range(10, 15):
            here.kubelet.write(NAMESPACE, pod, metric(step), "main")
        second = MetricFollower(journal)
        second.follow(here.cluster, "long", "ModelJob/long", "long")
        await until_points(journal, 15)
        await second.stop()
        steps = [one.step for one in journal.points("ModelJob/long", run="long")]
        assert steps == list(range(15))

    run(scenario)


@pytest.mark.slow
def test_a_log_is_followed_from_a_pod_to_the_one_that_takes_its_place() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web", SLEEP))
        first = (await until_ready(here.cluster, "web")).replicas[0].name
        found: list[LogLine] = []

        async def follow() -> None:
            async for line in here.cluster.logs("web", follow=True):
                found.append(line)

        async def until_written(text: str) -> None:
            async with asyncio.timeout(20):
                while not found or found[-1].text != text:
                    await asyncio.sleep(0.01)

        following = asyncio.create_task(follow())
        here.kubelet.write(NAMESPACE, first, "of the first", "main")
        await until_written("of the first")
        here.server.delete("pods", first, NAMESPACE)

        def replaced(one: Observed) -> bool:
            return bool(one.ready) and one.ready[0].name != first

        second = (await until(here.cluster, "web", replaced)).ready[0].name
        here.kubelet.write(NAMESPACE, second, "of the second", "main")
        await until_written("of the second")
        assert [one.text for one in found] == ["asleep", "of the first", "asleep", "of the second"]
        await here.cluster.delete("web")
        await following

    run(scenario)


@pytest.mark.thorough
def test_a_forwarded_port_stays_the_same() -> None:
    async def scenario(here: Place) -> None:
        await here.cluster.apply(server("web"))
        await until_ready(here.cluster, "web")
        port, same = await asyncio.gather(here.cluster.forward("web"), here.cluster.forward("web"))
        assert port == same
        assert await here.cluster.forward("web") == port
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await here.cluster.close()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)

    run(scenario)
