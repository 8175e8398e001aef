"""The real control plane of the tests: what the other tests of this folder stand on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kubernetes import control_plane as module
from tests.kubernetes.control_plane import ControlPlane, missing


def test_missing_programs_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASSETS", tmp_path)
    (tmp_path / "etcd").touch(mode=0o755)
    assert missing() == (
        f"there is no kube-apiserver, kubectl in {tmp_path} "
        "(KUBEBUILDER_ASSETS names the folder of Kubernetes' programs)"
    )


def test_it_answers_its_admin(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    found = json.loads(control_plane.kubectl("get", "namespace", namespace, "-o", "json"))
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_user_may_do_nothing_until_a_role_says_so(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    kubeconfig = control_plane.user("somebody")
    with pytest.raises(AssertionError, match='User "somebody" cannot list resource "pods"'):
        control_plane.kubectl("get", "pods", "-n", namespace, kubeconfig=kubeconfig)
    control_plane.kubectl("create", "role", "look", "-n", namespace, "--verb=list", "--resource=pods")
    control_plane.kubectl("create", "rolebinding", "look", "-n", namespace, "--role=look", "--user=somebody")
    control_plane.until_allowed("somebody", "list", "pods", namespace)
    assert control_plane.kubectl("get", "pods", "-n", namespace, kubeconfig=kubeconfig) == ""


def test_the_shared_one_is_not_killed(control_plane: ControlPlane) -> None:
    with pytest.raises(AssertionError, match="own_control_plane"):
        control_plane.kill()


def test_killed_and_back_with_all_that_it_knew(own_control_plane: ControlPlane) -> None:
    namespace = own_control_plane.namespace()
    port = own_control_plane.port
    own_control_plane.kill()
    assert not own_control_plane.alive()
    own_control_plane.restart()
    assert own_control_plane.port == port
    assert own_control_plane.request("GET", f"/api/v1/namespaces/{namespace}")[0] == 200


def test_a_deployment_makes_pods(full_control_plane: ControlPlane) -> None:
    namespace = full_control_plane.namespace()
    full_control_plane.kubectl(
        "create", "deployment", "web", "--image=example.com/web", "--replicas=2", "-n", namespace
    )
    full_control_plane.kubectl(
        "wait", "deployment/web", "-n", namespace, "--for=jsonpath={.status.unavailableReplicas}=2", "--timeout=60s"
    )
