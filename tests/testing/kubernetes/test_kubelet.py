"""What becomes of workloads on the fake: controllers, scheduler and nodes, played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from shipway.testing import cluster_suite as suite
from shipway.testing.kubernetes import Act, FakeKubernetes, Kubelet
from shipway.testing.kubernetes.acting import environment
from shipway.testing.kubernetes.deploying import is_ready
from tests.testing.kubernetes.asking import PODS, client_of, deployment, job, pod, template, with_kubelet

NS = "default"


async def until(server: FakeKubernetes, condition: Callable[[], Any]) -> None:
    await server.storage.until(lambda: bool(condition()), 10.0)


def ready(server: FakeKubernetes) -> int:
    return sum(map(is_ready, server.peek("pods")))


def conditions(server: FakeKubernetes, plural: str, name: str) -> dict[str, str]:
    found = (server.get(plural, name, NS) or {}).get("status", {}).get("conditions", ())
    return {one["type"]: one["reason"] for one in found if one["status"] == "True"}


def test_a_deployment_rolls_without_losing_a_replica() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        strategy = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        server.create("deployments", deployment(strategy=strategy), NS)
        await until(server, lambda: conditions(server, "deployments", "web").get("Progressing") == _DONE)
        before = {one["metadata"]["uid"] for one in server.peek("pods")}
        kubelet.play = lambda pod: Act(ready=False)
        server.change("deployments", "web", _new_image, NS)
        await until(server, lambda: len(server.peek("pods")) == 3)
        await asyncio.sleep(0)
        assert ready(server) == 2  # the new one is not ready: no old one goes
        kubelet.play = lambda pod: Act()
        stuck = next(one for one in server.peek("pods") if not is_ready(one))
        kubelet.set_ready(NS, stuck["metadata"]["name"])
        await until(server, lambda: not before & {one["metadata"]["uid"] for one in server.peek("pods")})
        await until(server, lambda: conditions(server, "deployments", "web").get("Progressing") == _DONE)
        assert (server.get("deployments", "web", NS) or {})["status"]["updatedReplicas"] == 2

    with_kubelet(check, lambda pod: Act())


_DONE = "NewReplicaSetAvailable"


def _new_image(live: Any) -> None:
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/web:2"


def test_what_a_quota_refuses_is_told_by_the_deployment() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}}, NS)
        server.change(
            "resourcequotas",
            "q",
            lambda live: live.update(status={"hard": {"pods": "0"}, "used": {"pods": "0"}}),
            NS,
            subresource="status",
        )
        server.create("deployments", deployment(), NS)
        await until(server, lambda: "ReplicaFailure" in conditions(server, "deployments", "web"))
        await until(server, lambda: server.peek("events"))
        assert "exceeded quota: q" in server.peek("events")[0]["message"]

    with_kubelet(check)


def test_a_stateful_set_numbers_its_pods() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        body = deployment(serviceName="web")
        server.create("statefulsets", body, NS)
        await until(server, lambda: ready(server) == 2)
        assert [one["metadata"]["name"] for one in server.peek("pods")] == ["web-0", "web-1"]
        server.change("statefulsets", "web", lambda live: live["spec"].update(replicas=1), NS)
        await until(server, lambda: [one["metadata"]["name"] for one in server.peek("pods")] == ["web-0"])

    with_kubelet(check, lambda pod: Act())


def test_a_job_completes_when_every_index_has() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("jobs", job(completions=3, parallelism=2, completionMode="Indexed"), NS)
        await until(server, lambda: "Complete" in conditions(server, "jobs", "train"))
        status = (server.get("jobs", "train", NS) or {})["status"]
        assert (status["succeeded"], status["completedIndexes"]) == (3, "0,1,2")

    with_kubelet(check, lambda pod: Act(("done",), 0))


def test_a_job_is_tried_again_as_often_as_it_may() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("jobs", job(backoffLimit=2), NS)
        await until(server, lambda: conditions(server, "jobs", "train").get("Failed") == "BackoffLimitExceeded")
        assert (server.get("jobs", "train", NS) or {})["status"]["failed"] == 3

    with_kubelet(check, lambda pod: Act((), 1))


def test_an_exit_code_that_ends_a_job() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        server.create("jobs", job(podFailurePolicy={"rules": [rule]}), NS)
        await until(server, lambda: conditions(server, "jobs", "train").get("Failed") == "PodFailurePolicy")
        assert len(server.peek("pods")) == 1

    with_kubelet(check, lambda pod: Act((), 42))


def test_pods_that_cannot_start_say_why() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        kubelet.play = lambda pod: Act(waiting="ImagePullBackOff", message="Back-off pulling image")
        server.create("pods", pod(), NS)
        await until(server, lambda: server.peek("events"))
        container = server.peek("pods")[0]["status"]["containerStatuses"][0]
        assert container["state"]["waiting"]["reason"] == "ImagePullBackOff"
        kubelet.play = lambda pod: Act(unschedulable="0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
        server.create("pods", {**pod(), "metadata": {"name": "big"}}, NS)
        await until(server, lambda: len(server.peek("events")) == 2)
        assert "spec.nodeName" not in server.peek("pods")[0]

    with_kubelet(check)


def test_logs_are_followed_to_the_end_of_the_container() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("pods", pod(), NS)
        await until(server, lambda: ready(server))
        async with client_of(server) as client:
            followed = asyncio.create_task(client.lines(f"{PODS}/web/log?follow=true", 99))
            while not server.requests:
                await asyncio.sleep(0)
            kubelet.write(NS, "web", "two")
            kubelet.end(NS, "web", 1, reason="OOMKilled")
            assert await followed == ["one", "two"]
            (stamped,) = await client.lines(f"{PODS}/web/log?timestamps=true&tailLines=1", 9)
            at, _, text = stamped.partition(" ")
            assert text == "two"
            assert await client.lines(f"{PODS}/web/log?sinceTime={at}", 9) == ["two"]
            assert "unknown" in (await client.ask("GET", f"{PODS}/web/log?container=unknown"))[1]["message"]
        container = server.peek("pods")[0]["status"]["containerStatuses"][0]
        assert (container["restartCount"], container["lastState"]["terminated"]["reason"]) == (1, "OOMKilled")

    with_kubelet(check, lambda pod: Act(("one",)))


def test_what_has_lost_its_owner_goes() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("deployments", deployment(), NS)
        await until(server, lambda: ready(server) == 2)
        server.delete("deployments", "web", NS, propagationPolicy="Foreground")
        await until(server, lambda: not server.peek("deployments"))
        assert not server.peek("pods")

    with_kubelet(check, lambda pod: Act())


def test_a_namespace_ends_with_all_that_is_in_it() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.namespace("team")
        server.create("deployments", deployment(), "team")
        await until(server, lambda: ready(server) == 2)
        server.delete("namespaces", "team")
        await until(server, lambda: server.get("namespaces", "team") is None)
        assert not server.peek("pods")

    with_kubelet(check, lambda pod: Act())


def test_the_variables_of_a_container() -> None:
    async def check(server: FakeKubernetes, kubelet: Kubelet) -> None:
        server.create("secrets", {"metadata": {"name": "s"}, "stringData": {"key": "hidden"}}, NS)
        index = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
        made = template("python", "-c", suite.TELL, restart="Never")
        made["spec"]["containers"][0]["env"] = [
            {"name": "INDEX", "valueFrom": index},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "BOTH", "value": "$(INDEX) $(SECRET) $$(INDEX) $(NOBODY)"},
        ]
        server.create("jobs", job(completions=1, completionMode="Indexed", template=made), NS)
        await until(server, lambda: "Complete" in conditions(server, "jobs", "train"))
        found = environment(server.peek("pods")[0], server.get)
        assert found == {"INDEX": "0", "SECRET": "hidden", "BOTH": "0 hidden $(INDEX) $(NOBODY)"}

    with_kubelet(check)
