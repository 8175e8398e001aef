"""Whether an object has to be written: by its digest and by whom its fields belong to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shipway.cluster.kubernetes.apply.decide import Key, key_of, lost, stamped, unchanged, waves
from shipway.cluster.kubernetes.names import APPLIED, Manifest

CONTAINER = 'k:{"name":"main"}'
PORT = 'k:{"containerPort":8080,"protocol":"TCP"}'

SENT = stamped(
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits", "namespace": "ml", "labels": {"a": "b"}},
        "spec": {
            "replicas": 2,
            "template": {
                "spec": {
                    "containers": [{"name": "main", "command": ["a", "b"], "ports": [{"containerPort": 8080}]}],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                }
            },
        },
    }
)


def _fields() -> dict[str, Any]:
    """As the API server writes them for SENT."""
    container: dict[str, Any] = {
        ".": {},
        "f:name": {},
        "f:command": {},
        "f:ports": {PORT: {".": {}, "f:containerPort": {}}},
    }
    pod = {
        "f:containers": {CONTAINER: container},
        "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
    }
    metadata: dict[str, Any] = {"f:labels": {"f:a": {}}, "f:annotations": {f"f:{APPLIED}": {}}}
    return {"f:metadata": metadata, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": pod}}}


def _live(fields: dict[str, Any], *, manager: str = "shipway", digest: str = "") -> Manifest:
    entry = {"manager": manager, "operation": "Apply", "fieldsV1": fields}
    digest = digest or SENT["metadata"]["annotations"][APPLIED]
    return {"metadata": {"annotations": {APPLIED: digest}, "managedFields": [entry]}}


def test_what_was_sent_before_and_nobody_touched_needs_no_write() -> None:
    assert unchanged(SENT, _live(_fields()))


def test_another_digest_needs_one() -> None:
    assert not unchanged(SENT, _live(_fields(), digest="x"))


def test_what_another_manager_applied_is_not_ours() -> None:
    assert not unchanged(SENT, _live(_fields(), manager="kubectl"))


def test_each_field_that_somebody_took_is_named() -> None:
    fields = _fields()
    del fields["f:spec"]["f:replicas"]
    container = fields["f:spec"]["f:template"]["f:spec"]["f:containers"][CONTAINER]
    del container["f:command"], container["f:ports"][PORT]["f:containerPort"]
    assert not unchanged(SENT, _live(fields))
    assert lost(SENT, _live(fields)) == (
        ".spec.replicas",
        ".spec.template.spec.containers[main].command",
        ".spec.template.spec.containers[main].ports[8080].containerPort",
    )


def test_an_item_that_somebody_removed_is_named() -> None:
    fields = _fields()
    fields["f:spec"]["f:template"]["f:spec"]["f:volumes"] = {'k:{"name":"other"}': {}}
    assert lost(SENT, _live(fields)) == (".spec.template.spec.volumes[tmp]",)


def test_sets_are_compared_by_value() -> None:
    sent = stamped({"metadata": {"name": "a", "finalizers": ["x", "y"]}})
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{APPLIED}": {}}, "f:finalizers": {'v:"x"': {}}}}
    assert lost(sent, _live(fields)) == (".metadata.finalizers[y]",)


def test_the_digest_is_of_what_is_sent_in_any_order_of_keys() -> None:
    again = json.loads(json.dumps(SENT, sort_keys=True))
    del again["metadata"]["annotations"]
    assert stamped(again)["metadata"]["annotations"] == SENT["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("version", "group"),
    [("v1", ""), ("apps/v1", "apps"), ("gateway.networking.k8s.io/v1", "gateway.networking.k8s.io")],
)
def test_keys(version: str, group: str) -> None:
    found = key_of({"apiVersion": version, "kind": "Any", "metadata": {"name": "a", "namespace": "ml"}})
    assert found == Key(group, "Any", "ml", "a") and str(found) == "Any ml/a"


def test_what_others_stand_on_comes_first() -> None:
    kinds = ["Ingress", "Deployment", "Service", "Secret", "HorizontalPodAutoscaler", "PersistentVolumeClaim"]
    found = [[one["kind"] for one in wave] for wave in waves({"kind": kind} for kind in kinds)]
    assert found == [
        ["Secret", "PersistentVolumeClaim"],
        ["Service"],
        ["Deployment"],
        ["Ingress", "HorizontalPodAutoscaler"],
    ]
