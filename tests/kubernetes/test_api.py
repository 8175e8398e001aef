"""The client against a real API server: what the small servers of tests/cluster/kubernetes/api are taken to be."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import Access, read
from shipway.cluster.kubernetes.api.forward import PROTOCOL
from shipway.cluster.kubernetes.api.refusals import FieldsOwned
from shipway.cluster.kubernetes.api.resources import CONFIG_MAPS, HTTP_ROUTES, PODS, RESOURCES
from shipway.errors import ClusterRefused, Conflict, NotFound, UserError
from tests.kubernetes.control_plane import ControlPlane


def connected(plane: ControlPlane, kubeconfig: Path | None = None) -> Api:
    return Api.connect(read("", str(kubeconfig or plane.kubeconfig), {}))


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "x"}},
        "data": data,
    }


def pod(namespace: str, name: str = "digits-0") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }


def test_our_resources_are_where_we_look_for_them(control_plane: ControlPlane) -> None:
    async def go() -> None:
        async with connected(control_plane) as api:
            for group, version in sorted({(one.group, one.version) for one in RESOURCES}):
                if group == "gateway.networking.k8s.io":  # no part of vanilla Kubernetes
                    continue
                found = await api.raw("GET", f"/apis/{group}/{version}" if group else f"/api/{version}")
                served = {(one["name"], one["namespaced"], one["kind"]) for one in found["resources"]}
                ours = {
                    (one.plural, one.namespaced, one.kind)
                    for one in RESOURCES
                    if (one.group, one.version) == (group, version)
                }
                assert ours <= served

    asyncio.run(go())


def test_objects_from_their_making_to_their_end(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()

    async def go() -> None:
        async with connected(control_plane) as api:
            assert (await api.version()).startswith("v1.")
            assert await api.raw("GET", "/readyz") == "ok"
            made = await api.apply(config_map(namespace, "a", k="1"))
            again = await api.apply(config_map(namespace, "a", k="1"))
            assert made["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
            dry = await api.apply(config_map(namespace, "a", k="2"), dry_run=True)
            assert dry["data"] == {"k": "2"}
            patched = await api.patch(CONFIG_MAPS, "a", {"data": {"more": "x"}}, namespace=namespace)
            assert patched["data"] == {"k": "1", "more": "x"}
            assert await api.get(CONFIG_MAPS, "a", namespace) == patched
            replaced = await api.replace({**patched, "data": {"k": "3"}})
            with pytest.raises(Conflict, match="the object has been modified"):
                await api.replace({**patched, "data": {"k": "4"}})
            with pytest.raises(Conflict, match="already exists"):
                await api.create(config_map(namespace, "a"))
            with pytest.raises(Conflict, match="UID"):
                await api.delete(CONFIG_MAPS, "a", namespace=namespace, uid="another")
            assert await api.delete(CONFIG_MAPS, "a", namespace=namespace, uid=str(replaced["metadata"]["uid"]))
            assert not await api.delete(CONFIG_MAPS, "a", namespace=namespace)
            assert await api.get(CONFIG_MAPS, "a", namespace) is None

    asyncio.run(go())


def test_pages_and_a_watch_that_goes_on_from_the_list(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()

    async def go() -> None:
        async with connected(control_plane) as api:
            await asyncio.gather(*(api.apply(config_map(namespace, f"m{n:02d}")) for n in range(25)))
            listing = await api.list(CONFIG_MAPS, namespace=namespace, labels="app=x", limit=10)
            assert [one["metadata"]["name"] for one in listing.items] == [f"m{n:02d}" for n in range(25)]
            assert {one["kind"] for one in listing.items} == {"ConfigMap"}
            await api.apply(config_map(namespace, "m00", changed="yes"))
            await api.delete(CONFIG_MAPS, "m01", namespace=namespace)
            watch = api.watch(
                CONFIG_MAPS, namespace=namespace, labels="app=x", resource_version=listing.resource_version
            )
            async with aclosing(watch), asyncio.timeout(30):
                first, second = await anext(watch), await anext(watch)
            assert [(one.type, one.object["metadata"]["name"]) for one in (first, second)] == [
                ("MODIFIED", "m00"),
                ("DELETED", "m01"),
            ]

    asyncio.run(go())


def test_fields_of_another_manager(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    control_plane.kubectl("create", "configmap", "a", "--from-literal=k=theirs", "-n", namespace)

    async def go() -> None:
        async with connected(control_plane) as api:
            with pytest.raises(FieldsOwned, match=r"kubectl-create manages fields .*\.data\.k") as caught:
                await api.apply(config_map(namespace, "a", k="ours"))
            assert caught.value.causes[0].field == ".data.k"
            assert (await api.apply(config_map(namespace, "a", k="ours"), force=True))["data"] == {"k": "ours"}

    asyncio.run(go())


def test_what_it_refuses_and_why(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")

    async def go() -> None:
        async with connected(control_plane) as api:
            with pytest.raises(NotFound, match='There is no namespace "nowhere"'):
                await api.apply(config_map("nowhere", "a"))
            with pytest.raises(UserError, match="field not declared in schema"):
                await api.apply({**config_map(namespace, "a"), "bogus": 1})
            with pytest.raises(UserError, match=r"metadata\.name: Invalid value"):
                await api.apply(config_map(namespace, "Not_A_Name"))
            with pytest.raises(NotFound, match="does not know httproutes"):
                await api.list(HTTP_ROUTES, namespace=namespace)
            assert await api.get(HTTP_ROUTES, "a", namespace) is None
            with pytest.raises(ClusterRefused, match='violates PodSecurity "restricted') as caught:
                await api.apply(pod(namespace))
            assert (caught.value.status, caught.value.reason) == (403, "Forbidden")

    asyncio.run(go())


def test_warnings(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(warn="restricted")

    async def go() -> None:
        async with connected(control_plane) as api:
            await api.apply(pod(namespace))
            assert any('would violate PodSecurity "restricted' in one for one in api.warnings)

    asyncio.run(go())


def test_a_user_without_rights_hears_which_one_is_missing(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()

    async def go() -> None:
        async with connected(control_plane, control_plane.user("nobody-here")) as api:
            with pytest.raises(ClusterRefused, match=rf'may not list pods in namespace "{namespace}"') as caught:
                await api.list(PODS, namespace=namespace)
            assert 'of user "nobody-here"' in caught.value.message
            assert "--print-rbac" in caught.value.next_step

    asyncio.run(go())


def test_a_token_that_is_not_accepted(control_plane: ControlPlane, tmp_path: Path) -> None:
    document = json.loads(control_plane.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": "made-up"}
    path = tmp_path / "config"
    path.write_text(json.dumps(document))

    async def go() -> None:
        async with connected(control_plane, path) as api:
            with pytest.raises(ClusterRefused, match="does not accept the token of user") as caught:
                await api.list(PODS, namespace="default")
            assert caught.value.status == 401 and "made-up" not in str(caught.value)

    asyncio.run(go())


def test_an_exec_plugin_whose_token_was_replaced(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A service account's token, from a plugin that first gives an old one."""
    namespace = control_plane.namespace()
    control_plane.kubectl("create", "serviceaccount", "robot", "-n", namespace)
    token = control_plane.kubectl("create", "token", "robot", "-n", namespace).strip()
    plugin = tmp_path / "login"
    plugin.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/seen ] && T={token} || T=old\ntouch {tmp_path}/seen\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "\'$T\'"}}\'\n'
    )
    plugin.chmod(0o700)
    document = json.loads(control_plane.kubeconfig.read_text())
    document["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "interactiveMode": "Never"}
    }
    path = tmp_path / "config"
    path.write_text(json.dumps(document))

    async def go() -> None:
        access: Access = read("", str(path), {"PATH": "/usr/bin:/bin"})
        async with Api.connect(access) as api:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            who = await api.create(review)
            assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:robot"

    asyncio.run(go())


def test_a_pod_without_a_node_has_neither_logs_nor_ports(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()

    async def go() -> None:
        async with connected(control_plane) as api:
            await api.apply(pod(namespace))
            assert [line async for line in api.logs("digits-0", namespace, "main")] == []
            with pytest.raises(NotFound, match='no pods/log "none"'):
                await anext(api.logs("none", namespace, "main"))
            path = PODS.path(namespace, "digits-0", "portforward")
            with pytest.raises((ClusterRefused, UserError), match="does not have a host assigned"):
                async with api.websocket(path, (PROTOCOL,), (("ports", "80"),)):
                    pass

    asyncio.run(go())
