"""What is asked of quotas and nodes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shipway.cluster.kubernetes.apply.capacity import impossible, may_grow
from shipway.cluster.kubernetes.apply.decide import key_of
from shipway.cluster.kubernetes.apply.demand import asked, exceeded, per_pod
from shipway.cluster.kubernetes.check.nodes import Node
from shipway.cluster.kubernetes.check.quantities import amount, shown
from shipway.cluster.kubernetes.names import Manifest


def _container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


def _deployment(replicas: int | None, cpu: str = "1", **spec: Any) -> Manifest:
    template = {"spec": {"containers": [_container(cpu)]}}
    scale = {} if replicas is None else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "digits", "namespace": "ml"},
        "spec": {"template": template, **scale, **spec},
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", "0.5"), ("2Gi", str(2 << 30)), ("1e3", "1000"), ("1E", "1e18"), ("100n", "1e-7"), ("0", "0"), ("x", "0")],
)
def test_quantities(text: str, number: str) -> None:
    assert amount(text) == Decimal(number)


def test_quantities_for_people() -> None:
    assert [shown(amount("1536Mi"), "limits.memory"), shown(amount("250m"), "cpu"), shown(amount("3"))] == [
        *("1.5Gi", "0.25", "3")
    ]


def test_a_pod_asks_for_the_larger_of_its_start_and_its_run() -> None:
    sidecar = _container("100m", restartPolicy="Always")
    assert per_pod({"spec": {"containers": [_container("1")], "initContainers": [_container("3"), sidecar]}}) == {
        "requests.cpu": Decimal("3.1")
    }
    assert per_pod({"spec": {"containers": [_container("1")], "initContainers": [_container("1"), sidecar]}}) == {
        "requests.cpu": Decimal("1.1")
    }


def test_a_limit_is_a_request_where_none_is_given() -> None:
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    assert per_pod({"spec": {"containers": [gpu]}})["requests.nvidia.com/gpu"] == 2


def test_of_what_runs_already_only_the_difference_and_the_surge_are_asked() -> None:
    before = _deployment(4)
    new = asked([before], {})
    assert [new[name] for name in ("requests.cpu", "count/pods", "count/deployments.apps")] == [4, 4, 1]
    same = asked([before], {key_of(before): before})
    assert [same[name] for name in ("requests.cpu", "count/deployments.apps")] == [
        1,
        0,
    ]  # a quarter more while they are exchanged
    recreated = _deployment(6, strategy={"type": "Recreate"})
    assert asked([recreated], {key_of(before): before})["requests.cpu"] == 2


def test_an_autoscaler_says_how_many_there_are_at_least() -> None:
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "digits"}, "minReplicas": 3}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits"},
        "spec": target,
    }
    assert asked([_deployment(None), scaler], {})["requests.cpu"] == 3


def test_quotas_under_all_their_names() -> None:
    status = {"hard": {"cpu": "4", "pods": "9", "limits.memory": "1Gi"}, "used": {"cpu": "2500m", "pods": "1"}}
    quota = {"metadata": {"name": "team"}, "spec": {}, "status": status}
    scoped = {**quota, "spec": {"scopes": ["BestEffort"]}}
    (found,) = exceeded([quota, scoped], asked([_deployment(2)], {}))
    assert found.resource == "cpu"
    assert [found.hard, found.used, found.asked] == [4, Decimal("2.5"), 2]


def _gpu(count: str, **selector: str) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": count}}
    return {"spec": {"containers": [{"resources": resources}], "nodeSelector": selector}}


def _node(gpus: int = 0, **labels: str) -> Node:
    return Node("one", {"nvidia.com/gpu": Decimal(gpus)} if gpus else {}, labels, "")


@pytest.mark.parametrize(
    ("template", "nodes", "said"),
    [
        (_gpu("1"), [_node()], "asks for 1 nvidia.com/gpu, and no node of 1 has one"),
        (_gpu("4"), [_node(2), _node()], "asks for 4 nvidia.com/gpu in one Pod, and no node has more than 2"),
        (_gpu("1", model="A100"), [_node(2, model="T4")], "no node of 1 has the label model=A100"),
        (_gpu("4", model="T4"), [_node(2, model="T4"), _node(8)], "no node with model=T4 has more than 2"),
        (_gpu("2"), [_node(2)], ""),
    ],
)
def test_no_node_could_ever_run_it(template: dict[str, Any], nodes: list[Node], said: str) -> None:
    why, step = impossible(template, nodes)
    assert said in why and bool(why) == bool(said) == bool(step)


def test_nodes_that_come_by_themselves() -> None:
    assert may_grow(["apps", "karpenter.sh"]) and not may_grow(["apps", "autoscaling"])
