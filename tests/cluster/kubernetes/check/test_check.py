"""Runtimes, versions, rights and the printed Role: what is decided without a cluster."""

from __future__ import annotations

import pytest

from shipway.cluster.kubernetes.check import rbac
from shipway.cluster.kubernetes.check.features import Features, mounts_images
from shipway.cluster.kubernetes.check.rights import Right, allowed, sentence
from shipway.errors import UserError


@pytest.mark.parametrize(
    ("runtime", "mounts"),
    [
        *(("containerd://2.1.0", True), ("containerd://2.0.5", False), ("containerd://1.7.27", False)),
        *(("cri-o://1.31.2", True), ("cri-o://1.30.9", False), ("docker://28.0.0", False), ("", False)),
        *(("containerd://2.10.1", True), ("containerd://v2.4.0-beta", True)),
    ],
)
def test_runtimes_that_mount_images(runtime: str, mounts: bool) -> None:
    assert mounts_images(runtime) is mounts


@pytest.mark.parametrize(("version", "good"), [("v1.31.0", True), ("v1.30.14", False), ("v1.36.2+k3s1", True)])
def test_versions(version: str, good: bool) -> None:
    assert Features(version).supported is good


def test_rights_of_rules() -> None:
    rules = [
        {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["*"]},
        {"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]},
    ]
    assert allowed(rules, Right("apps", "deployments", "get"))
    assert not allowed(rules, Right("apps", "deployments", "list"))
    assert not allowed(rules, Right("", "secrets", "get"))
    assert allowed(rules, Right("", "secrets", "get", "mine"))


def test_rights_in_words() -> None:
    rights = [Right("apps", "deployments", "patch"), Right("apps", "deployments", "get"), Right("", "pods/log", "get")]
    assert sentence(rights) == "get pods/log; get, patch deployments.apps"


def test_the_role_is_of_the_namespace_and_without_wildcards() -> None:
    role, binding, cluster_role, cluster_binding = rbac.manifests("ml", "ServiceAccount:ci/hub")
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "ml")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "namespace": "ci", "name": "hub"}]
    assert cluster_binding["roleRef"]["name"] == cluster_role["metadata"]["name"] == "shipway-ml"
    every = [*role["rules"], *cluster_role["rules"]]
    assert not any("*" in words for rule in every for words in rule.values())
    assert {verb for rule in cluster_role["rules"] for verb in rule["verbs"]} == {"get", "list"}


def test_without_a_subject_nothing_is_bound() -> None:
    assert [one["kind"] for one in rbac.manifests("ml", "")] == ["Role", "ClusterRole"]


@pytest.mark.parametrize("subject", ["ada", "User:", "ServiceAccount:hub", "Robot:x"])
def test_subjects_that_are_none(subject: str) -> None:
    with pytest.raises(UserError, match="no subject of a RoleBinding"):
        rbac.manifests("ml", subject)
