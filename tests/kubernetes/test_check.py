"""Look and check against a real API server: with nodes, without, and with rights in one namespace alone."""

from __future__ import annotations

from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.apply import Ownership
from shipway.cluster.kubernetes.check.features import Features, look
from shipway.cluster.kubernetes.check.findings import Finding, check
from shipway.errors import RegistryUnreachable
from shipway.kinds import ClusterSpec
from tests.kubernetes.applied import on
from tests.kubernetes.control_plane import ControlPlane


def _look(plane: ControlPlane, namespace: str) -> Features:
    async def do(api: Api) -> Features:
        return await look(api, namespace)

    return on(plane.kubeconfig, do)


def _check(plane: ControlPlane, namespace: str, user: str = "admin", **spec: str) -> dict[str, Finding]:
    asked = ClusterSpec(type="kubernetes", namespace=namespace, registry="registry.example.com/team", **spec)  # type: ignore[arg-type]

    async def registry() -> str:
        raise RegistryUnreachable("registry.example.com does not answer", next_step="Is the VPN up?")

    async def do(api: Api) -> tuple[Finding, ...]:
        owner = Ownership(api, namespace, "a" * 12, SystemClock())
        return await check(api, asked, owner=owner, registry=registry)

    return {one.name: one for one in on(plane.user(user), do)}


def test_a_cluster_without_nodes(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    found = _look(control_plane, namespace)
    assert found.supported and found.nodes_known
    assert (found.pod_security, found.metrics_server) == ("restricted", False)
    assert found.image_volumes is False and found.storage_class == ""


def test_nodes_and_their_runtimes_decide_about_image_volumes(own_control_plane: ControlPlane) -> None:
    namespace = own_control_plane.namespace(enforce="restricted")
    node = {"metadata": {"name": "one", "labels": {"nvidia.com/gpu.product": "T4"}}}
    assert own_control_plane.request("POST", "/api/v1/nodes", node)[0] == 201
    for runtime, mounts in (("containerd://2.1.4", True), ("containerd://1.7.27", False)):
        node = own_control_plane.request("GET", "/api/v1/nodes/one")[1]
        node["status"]["nodeInfo"]["containerRuntimeVersion"] = runtime
        node["status"]["allocatable"] = {"cpu": "3500m", "memory": "8Gi", "nvidia.com/gpu": "2"}
        assert own_control_plane.request("PUT", "/api/v1/nodes/one/status", node)[0] == 200
        found = _look(own_control_plane, namespace)
        assert found.image_volumes is mounts, found.image_volumes_because
        assert (found.nodes, found.cpus, found.memory, found.gpus) == (1, 3.5, 8 << 30, {"nvidia.com/gpu": 2})
    assert found.gpu_products == ("T4",) and "containerd 2.1" in found.image_volumes_because


def test_all_is_told_with_what_to_do(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    found = _check(control_plane, namespace, pull_secret="pull")
    assert {name for name, one in found.items() if one.state == "missing"} == {"pull secret"}
    assert f"create secret docker-registry pull -n {namespace}" in found["pull secret"].next_step
    assert found["rights"].state == found["connection"].state == found["owner"].state == "ok"
    assert (found["registry"].state, found["registry"].next_step) == ("degraded", "Is the VPN up?")
    assert all(one.next_step for one in found.values() if one.state != "ok")
    control_plane.kubectl("create", "secret", "generic", "pull", "-n", namespace, "--from-literal=a=b")
    wrong = _check(control_plane, namespace, pull_secret="pull")["pull secret"]
    assert wrong.state == "missing" and "is of type Opaque, not kubernetes.io/dockerconfigjson" in wrong.message


def test_no_namespace(control_plane: ControlPlane) -> None:
    found = _check(control_plane, "nowhere")
    assert found["namespace"].state == "missing" and "create namespace nowhere" in found["namespace"].next_step


def test_a_user_without_any_right(control_plane: ControlPlane) -> None:
    found = _check(control_plane, control_plane.namespace(), user="stranger")
    assert found["rights"].state in ("missing", "degraded") and "--print-rbac" in found["rights"].next_step
    assert found["nodes"].state == "degraded" and "may not list nodes" in found["nodes"].message


def test_another_hub_owns_it(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()

    async def claim(api: Api) -> None:
        await Ownership(api, namespace, "b" * 12, SystemClock(), host="ada").claim()

    on(control_plane.kubeconfig, claim)
    found = _check(control_plane, namespace)["owner"]
    assert found.state == "degraded" and f"hub {'b' * 12} on ada" in found.message


def test_a_server_that_is_away(own_control_plane: ControlPlane) -> None:
    namespace = own_control_plane.namespace()
    own_control_plane.kill()
    try:
        found = _check(own_control_plane, namespace)
    finally:
        own_control_plane.restart()
    assert list(found) == ["connection"] and found["connection"].state == "missing"
