"""KubernetesCluster on a real control plane: what needs controllers and a scheduler, and no kubelet."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipway.bundle import Bundle, Observed, Workload
from shipway.clock import SystemClock
from shipway.cluster.kubernetes.check import rbac
from shipway.cluster.kubernetes.cluster import KubernetesCluster
from shipway.cluster.kubernetes.names import OWNER as OWNER_LABEL
from shipway.errors import ClusterRefused, ClusterUnreachable, Conflict
from shipway.kinds import ClusterSpec, Resources
from shipway.testing.cluster_suite import PRINT, job, server, until, until_gone
from tests.cluster.kubernetes.cluster.place import FakeSupplies, secrets, some_terms
from tests.kubernetes.control_plane import PATIENCE, ControlPlane

OWNER = "0123456789ab"


def connected(
    plane: ControlPlane, namespace: str, folder: Path, owner: str = OWNER, user: Path | None = None
) -> KubernetesCluster:
    spec = ClusterSpec(
        type="kubernetes",
        kubeconfig=str(user or plane.kubeconfig),
        namespace=namespace,
        registry="registry.example/team",
        courier="registry.example/courier@sha256:" + "2" * 64,
    )
    return KubernetesCluster(spec, "prod", owner, {}, FakeSupplies(folder), secrets, SystemClock())


@asynccontextmanager
async def place(plane: ControlPlane, folder: Path, **labels: str) -> AsyncIterator[tuple[KubernetesCluster, str]]:
    namespace = plane.namespace(**labels)
    cluster = connected(plane, namespace, folder)
    try:
        yield cluster, namespace
    finally:
        await cluster.close()


def run(scenario: Callable[[], Any]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await scenario()

    asyncio.run(bounded())


def add_node(plane: ControlPlane, name: str, taint: str = "", **allocatable: str) -> None:
    """A node that nobody runs: enough for a scheduler to judge. Its controller takes it for ready when this ends: a Pod
    that was judged before is not judged again by itself."""
    amounts = {"cpu": "2", "memory": "4Gi", "pods": "10", **allocatable}
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"taints": taints}}
    code, answer = plane.request("POST", "/api/v1/nodes", node)
    assert code == 201, answer
    status = {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": dict.fromkeys(
            (
                "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
                "kubeletVersion", "kubeProxyVersion", "operatingSystem", "architecture",
            ),
            "x",
        ),
    }  # fmt: skip
    plane.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    ends = time.monotonic() + PATIENCE
    while any(
        one["key"] != taint for one in plane.request("GET", f"/api/v1/nodes/{name}")[1]["spec"].get("taints") or ()
    ):
        assert time.monotonic() < ends, f"node {name} does not get ready"
        time.sleep(0.1)


def test_a_service_is_applied_once_scaled_exchanged_and_deleted(control_plane: ControlPlane, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(control_plane, tmp_path, **RESTRICTED) as (cluster, namespace):
            web = server("web")
            await cluster.apply(web, some_terms(web))
            first = await cluster.observe("web")
            assert first is not None
            assert (first.phase, first.hash) == ("Preparing", Bundle(web, some_terms(web)).hash())
            assert first.addresses == (f"http://web.{namespace}.svc:80",)
            before = versions(control_plane, namespace)
            await cluster.apply(web, some_terms(web))
            assert versions(control_plane, namespace) == before
            await cluster.apply(replace(web, replicas=3), some_terms(web))
            after = versions(control_plane, namespace)
            assert {name for name in after if after[name] != before.get(name)} >= {"deployments/web"}
            assert after["services/web"] == before["services/web"]
            await cluster.apply(replace(web, command=("python", "-V")), some_terms(web))
            exchanged = await cluster.observe("web")
            assert exchanged is not None
            assert (exchanged.hash == first.hash, exchanged.rolled_out) == (False, False)
            await cluster.delete("web")
            await until_gone(cluster, "web")
            assert not {one for one in versions(control_plane, namespace) if one.endswith("/web")}

    run(scenario)


RESTRICTED = {"enforce": "restricted"}


def versions(plane: ControlPlane, namespace: str) -> dict[str, str]:
    """Of what is ours: Kubernetes' own controllers put things of theirs into a namespace whenever they come to it."""
    found = {}
    for path in ("/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/apis/policy/v1", "/apis/networking.k8s.io/v1"):
        for plural in PLURALS[path]:
            _, answer = plane.request("GET", f"{path}/namespaces/{namespace}/{plural}?labelSelector={OWNER_LABEL}")
            for one in answer["items"]:
                found[f"{plural}/{one['metadata']['name']}"] = one["metadata"]["resourceVersion"]
    return found


PLURALS = {
    "/api/v1": ("services", "serviceaccounts", "configmaps", "secrets"),
    "/apis/apps/v1": ("deployments",),
    "/apis/batch/v1": ("jobs",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/networking.k8s.io/v1": ("networkpolicies",),
}


def test_a_jobs_name_is_used_once(control_plane: ControlPlane, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(control_plane, tmp_path, **RESTRICTED) as (cluster, _):
            good = job("good", PRINT)
            await cluster.apply(good, some_terms(good))
            await cluster.apply(good, some_terms(good))
            with pytest.raises(Conflict, match="names are used once"):
                await cluster.apply(job("good", "1"), some_terms(good))
            assert [one.name for one in await cluster.list()] == ["good"]

    run(scenario)


def test_a_second_hub_is_refused_until_it_takes_over(control_plane: ControlPlane, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place(control_plane, tmp_path, **RESTRICTED) as (cluster, namespace):
            web = server("web")
            await cluster.apply(web, some_terms(web))
            other = connected(control_plane, namespace, tmp_path, "ba9876543210")
            try:
                with pytest.raises(Conflict, match=OWNER):
                    await other.apply(web, some_terms(web))
                claimed = await other.claim(take_over=True)
                assert (claimed["owner"], claimed["before"]) == ("ba9876543210", OWNER)
                await other.apply(web, some_terms(web))
                await until(other, "web", lambda one: one.phase == "Preparing")
                with pytest.raises(Conflict, match="ba9876543210"):
                    await cluster.apply(replace(web, replicas=2), some_terms(web))
                # It is the other's now: our own watch sees it no more.
                await until_gone(cluster, "web")
            finally:
                await other.close()

    run(scenario)


def test_a_user_without_rights_is_told_which(control_plane: ControlPlane, tmp_path: Path) -> None:
    async def scenario() -> None:
        namespace = control_plane.namespace(**RESTRICTED)
        cluster = connected(control_plane, namespace, tmp_path, user=control_plane.user("nobody-here"))
        try:
            with pytest.raises(ClusterRefused) as refused:
                await cluster.list()
            assert namespace in refused.value.message
            findings = [(one["name"], one["state"]) for one in await cluster.check()]
            assert ("rights", "missing") in findings
        finally:
            await cluster.close()

    run(scenario)


def test_the_printed_role_is_enough_for_all_of_it(control_plane: ControlPlane, tmp_path: Path) -> None:
    namespace, user = control_plane.namespace(**RESTRICTED), "shipway-user"
    documents = rbac.manifests(namespace, f"User:{user}")[:2]  # a Role and its binding: nothing of the whole cluster
    for one in documents:
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(one))
    control_plane.until_allowed(user, "list", "pods", namespace)

    async def scenario() -> None:
        cluster = connected(control_plane, namespace, tmp_path, user=control_plane.user(user))
        try:
            web = replace(server("web"), secret_env={"DB": ("db", "PASSWORD")})
            await cluster.apply(web, some_terms(web))
            await cluster.apply(replace(web, secret_env={}), some_terms(web))  # something to prune
            assert [one.name for one in await cluster.list()] == ["web"]
            await cluster.delete("web")
            await until_gone(cluster, "web")
            assert (await cluster.info()).notes == ("its nodes are not known: we may not list them",)
        finally:
            await cluster.close()

    run(scenario)


async def waits(cluster: KubernetesCluster, name: str, reason: str) -> Observed:
    return await until(cluster, name, lambda one: one.reason == reason)


def test_why_no_pod_is_made_and_why_no_node_takes_it(full_control_plane: ControlPlane, tmp_path: Path) -> None:
    plane = full_control_plane
    add_node(plane, "tainted", taint="dedicated")
    add_node(plane, "small", cpu="1")

    async def scenario() -> None:
        async with place(plane, tmp_path, **RESTRICTED) as (cluster, namespace):
            big = server("big")
            # Each fits a node by itself, and not both.
            one_cpu = some_terms(big, resources=Resources(cpu="700m"))
            await cluster.apply(replace(big, replicas=2), one_cpu)
            seen = await waits(cluster, "big", "Unschedulable")
            assert "of 2 nodes, " in seen.message
            assert "too little cpu free" in seen.message
            await until(cluster, "big", lambda one: "not tolerated (dedicated on 1" in one.message)
            assert [one.index for one in seen.replicas] == [0, 1]
            assert sorted(one.node for one in seen.replicas) == ["", "small"]
            quota = {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "few"},
                "spec": {"hard": {"pods": "2"}},
            }
            plane.request("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", quota)
            plane.kubectl("scale", "deployment", "big", "-n", namespace, "--replicas=3")
            seen = await waits(cluster, "big", "QuotaExceeded")
            assert "the quota few of the namespace is used up: asked for pods=1, used pods=2 of pods=2" in seen.message
            assert (seen.wanted, seen.rolled_out) == (3, False)

    run(scenario)


def test_an_api_server_that_goes_away_is_last_seen_and_comes_back(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    plane = own_control_plane

    async def scenario() -> None:
        async with place(plane, tmp_path, **RESTRICTED) as (cluster, _):
            web = server("web")
            await cluster.apply(web, some_terms(web))
            before = await until(cluster, "web", lambda one: bool(one.hash))
            plane.kill()
            stale = await until(cluster, "web", lambda one: one.stale_since is not None)
            assert replace(stale, stale_since=None, notes=()) == before
            assert "answer" in stale.notes[-1] or "broke" in stale.notes[-1]
            with pytest.raises(ClusterUnreachable):
                await cluster.apply(replace(web, replicas=2), some_terms(web))
            await asyncio.to_thread(plane.restart)
            await until(cluster, "web", lambda one: one.stale_since is None)
            await cluster.apply(replace(web, replicas=2), some_terms(web))
            assert (await until(cluster, "web", lambda one: one.wanted == 2)).hash == before.hash

    run(scenario)


@pytest.mark.thorough
def test_a_minute_without_an_api_server_loses_and_doubles_nothing(
    own_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """What changed before, during and after it: shown as last seen meanwhile, and all of it there in the end."""
    plane = own_control_plane
    names = [f"web-{number}" for number in range(5)]

    async def scenario() -> None:
        async with place(plane, tmp_path, **RESTRICTED) as (cluster, namespace):
            for name in names:
                await cluster.apply(server(name, replicas=2), some_terms(server(name)))
            first = versions(plane, namespace)
            told: set[str] = set()
            following = asyncio.create_task(_collect(cluster, told))
            loop = asyncio.get_running_loop()
            plane.kill()
            away = loop.time() + 60.0
            for name in names:
                stale = await until(cluster, name, lambda one: one.stale_since is not None)
                assert "answer" in stale.notes[-1] or "broke" in stale.notes[-1]
            # Not before: its controllers are at work until it goes away.
            before = {one.name: replace(one, stale_since=None, notes=()) for one in await cluster.list()}
            # Writes that are asked for meanwhile fail as what they are, and are asked for again, as controllers do.
            wider = [asyncio.create_task(_until_applied(cluster, replace(server(one), replicas=3))) for one in names]
            while loop.time() < away:
                seen = {one.name: replace(one, stale_since=None, notes=()) for one in await cluster.list()}
                assert seen == before
                await asyncio.sleep(1.0)
            told.clear()
            await asyncio.to_thread(plane.restart)
            refused = await asyncio.gather(*wider)
            assert all(refused)
            for name in names:
                await until(cluster, name, lambda one: one.stale_since is None and one.wanted == 3)
            assert told >= set(names)
            after = versions(plane, namespace)
            assert after.keys() == first.keys()  # nothing twice, nothing gone
            changed = {one for one in first if after[one] != first[one]}
            budgets = {f"poddisruptionbudgets/{name}" for name in names}  # may say how many replicas there are too
            assert changed - budgets == {f"deployments/{name}" for name in names}
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def bounded() -> None:
        async with asyncio.timeout(170):
            await scenario()

    asyncio.run(bounded())


async def _collect(cluster: KubernetesCluster, told: set[str]) -> None:
    async for name in cluster.watch():
        told.add(name)


async def _until_applied(cluster: KubernetesCluster, workload: Workload) -> int:
    """How often nobody answered before it was done."""
    failed = 0
    while True:
        try:
            await cluster.apply(workload, some_terms(workload))
        except ClusterUnreachable:
            failed += 1
            await asyncio.sleep(1.0)
        else:
            return failed
