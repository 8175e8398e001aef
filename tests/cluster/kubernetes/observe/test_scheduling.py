"""Messages of the scheduler, as its FitError writes them."""

from __future__ import annotations

import pytest

from shipway.cluster.kubernetes.watch.scheduling import why_unschedulable

NO_VICTIMS = " preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."

SAID = {
    "0/3 nodes are available: 3 Insufficient cpu." + NO_VICTIMS: (
        "no node takes it: of 3 nodes, 3 have too little cpu free; ask for less in `resources`, or add nodes"
    ),
    "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {node-role.kubernetes.io/"
    "control-plane: }." + NO_VICTIMS: (
        "no node takes it: of 3 nodes, 2 have a taint that is not tolerated {node-role.kubernetes.io/control-plane: } "
        "and 1 has too little memory free; tolerate it in `placement.tolerations`"
    ),
    "0/3 nodes are available: 3 node(s) had untolerated taint(s).": (
        "no node takes it: of 3 nodes, 3 have a taint that is not tolerated; tolerate it in `placement.tolerations`"
    ),
    "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable. "
    "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.": (
        "no node takes it: of 2 nodes, 1 has not the labels that are asked for and 1 has been cordoned; check "
        "`placement.nodeSelector`, `placement.affinity` and `placement.gpuModel` against the nodes' labels"
    ),
    "0/4 nodes are available: 1 Too many pods, 3 node(s) didn't match pod anti-affinity rules. no new claims to "
    "deallocate, preemption: 0/4 nodes are available: 4 No preemption victims found for incoming pod.": (
        "no node takes it: of 4 nodes, 3 have a Pod beside which it may not run and 1 has no room for another Pod; "
        "relax `placement.affinity`, or add nodes"
    ),
    "0/1 nodes are available: 1 something of tomorrow.": (
        "no node takes it: of 1 node, 1 has something of tomorrow; check the cluster's nodes"
    ),
    "0/0 nodes are available: .": "the cluster has no node that can run it; add one",
    "no nodes available to schedule pods": (
        "no node takes it (no nodes available to schedule pods); check the cluster's nodes"
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_a_sentence_of_the_schedulers_message(said: str) -> None:
    why = why_unschedulable(said)
    assert (why.reason, why.message) == ("Unschedulable", SAID[said])


GPUS = "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint(s)."


def test_a_gpu_that_no_node_has_is_told_apart_from_one_that_is_taken() -> None:
    assert "no node of the cluster has any nvidia.com/gpu" in why_unschedulable(GPUS, {}).message
    assert "no nvidia.com/gpu free" in why_unschedulable(GPUS, {"nvidia.com/gpu": 8}).message
    assert "no nvidia.com/gpu free" in why_unschedulable(GPUS).message  # we may not list nodes


@pytest.mark.parametrize(
    "said, words",
    [
        ('persistentvolumeclaim "digits-data" not found', "claim 'digits-data' does not exist"),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "not bound to any storage yet"),
    ],
)
def test_claims(said: str, words: str) -> None:
    why = why_unschedulable(said)
    assert why.reason == "VolumeUnbound"
    assert words in why.message


TAINTED = "0/3 nodes are available: 2 node(s) had untolerated taint(s), 1 Insufficient cpu."


@pytest.mark.parametrize(
    ("taints", "told"),
    [
        (None, "2 have a taint that is not tolerated and 1 has too little cpu free"),
        ({"node.kubernetes.io/unreachable": 2}, "2 are down (node.kubernetes.io/unreachable)"),
        ({"gpu": 1, "node.kubernetes.io/not-ready": 1}, "not tolerated (gpu on 1, node.kubernetes.io/not-ready on 1)"),
    ],
)
def test_a_node_that_is_down_is_no_question_of_tolerations(taints: dict[str, int] | None, told: str) -> None:
    """The scheduler does not say which taints; the nodes do, where they may be read."""
    message = why_unschedulable(TAINTED, None, taints).message
    assert told in message
    assert ("tolerations" in message) == ("are down" not in message)
