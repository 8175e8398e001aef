"""Why no node takes a Pod, from the scheduler's message. Pure.

Source: k8s.io/kubernetes pkg/scheduler/framework/types.go (FitError), and the ErrReason constants of its plugins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.why import Why, quoted

_FIT = re.compile(r"^0/(\d+) nodes are available: (.*)$", re.DOTALL)
_ONE = re.compile(r"(\d+) ((?:[^,{]|\{[^}]*\})+)(?:, |$)")
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found|unbound immediate PersistentVolumeClaims', re.I)


class _Cause(NamedTuple):
    """What the scheduler writes, what it means of a number of nodes, and what helps."""

    pattern: re.Pattern[str]
    means: str  # {0} the first group
    helps: str


_CAUSES = tuple(
    _Cause(re.compile(pattern), means, helps)
    for pattern, means, helps in (
        (
            r"Insufficient (cpu|memory|ephemeral-storage)",
            "too little {0} free",
            "ask for less in `resources`, or add nodes",
        ),
        (r"Insufficient (\S+)", "no {0} free", "wait for one, ask for fewer, or add nodes"),
        (r"Too many pods", "no room for another Pod", "add nodes"),
        (
            r"untolerated taints?(?:\(s\))?(?: (\{[^}]*\}))?|taints? (?:(\{[^}]*\}), )?that the pod didn't tolerate",
            "a taint that is not tolerated{0}",
            "tolerate it in `placement.tolerations`",
        ),
        (
            r"node affinity/selector|scheduler-enforced node affinity|requested node name",
            "not the labels that are asked for",
            "check `placement.nodeSelector`, `placement.affinity` and `placement.gpuModel` against the nodes' labels",
        ),
        (r"anti-affinity", "a Pod beside which it may not run", "relax `placement.affinity`, or add nodes"),
        (r"pod affinity rules", "no Pod beside which it must run", "check `placement.affinity`"),
        (r"topology spread", "as many replicas as the spread allows", "relax `placement.spread`, or add nodes"),
        (r"free ports", "the port taken on the node", "take another port"),
        (
            r"persistent volumes|[Pp]ersistentVolume|volume zone|pvc\(s\)|available disk|enough free storage",
            "no volume that fits",
            "check `volumes` and the storage class",
        ),
        (r"max volume count", "as many volumes as it can have", "add nodes"),
        (r"were unschedulable", "been cordoned", "uncordon the node, or add nodes"),
    )
)


# Taints that Kubernetes sets by itself on a node that is not there.
_DOWN = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready", "node.kubernetes.io/network-unavailable")


def is_about_taints(pod: Manifest) -> bool:
    """Whether a Pod waits for a node, and taints keep it off some. The scheduler does not say which."""
    scheduled = fields.condition(pod, "PodScheduled")
    return scheduled.get("status") == "False" and "taint" in str(scheduled.get("message", ""))


def why_unschedulable(
    message: str, allocatable: Mapping[str, int] | None = None, taints: Mapping[str, int] | None = None
) -> Why:
    """``allocatable``: extended resources of all nodes together, where they are known: what no node has is told apart
    from what is taken. ``taints``: how many nodes have each."""
    missing = _CLAIM.search(message)
    if missing is not None:
        name = f" {missing[1]!r}" if missing[1] else ""
        what = f"the claim{name} does not exist" if missing[1] else "its volume is not bound to any storage yet"
        return Why("VolumeUnbound", f"not started: {what} ({quoted(message)}); check `volumes` and the storage class")
    fit = _FIT.match(message)
    if fit is None:
        return Why("Unschedulable", f"no node takes it ({quoted(message)}); check the cluster's nodes")
    total = int(fit[1])
    if total == 0:
        return Why("Unschedulable", "the cluster has no node that can run it; add one")
    causes = [(int(one[1]), one[2].strip()) for one in _ONE.finditer(_filters(fit[2]))]
    if not causes:
        return Why("Unschedulable", f"none of {_nodes(total)} takes it ({quoted(fit[2])})")
    return _judged(total, sorted(causes, key=lambda one: -one[0]), allocatable, taints or {})


def _judged(
    total: int, causes: list[tuple[int, str]], allocatable: Mapping[str, int] | None, taints: Mapping[str, int]
) -> Why:
    told, steps = [], []
    for count, cause in causes:
        means, helps = _meaning(cause)
        if "taint" in cause and taints and "{" not in cause:
            told_of, helps = _tainted(count, taints, helps)
            told.append(told_of)
        else:
            told.append(f"{count} {'has' if count == 1 else 'have'} {means}")
        steps.append(helps)
        wanted = re.fullmatch(r"Insufficient (\S+/\S+)", cause)
        if wanted and allocatable is not None and not allocatable.get(wanted[1]):
            return Why(
                "Unschedulable",
                f"no node of the cluster has any {wanted[1]} ({_nodes(total)}); ask for none, or add a node with it",
            )
    step = next(iter(steps))
    return Why("Unschedulable", f"no node takes it: of {_nodes(total)}, {_joined(told)}; {step}")


def _tainted(count: int, taints: Mapping[str, int], helps: str) -> tuple[str, str]:
    """Of so many nodes with taints: what the nodes' own taints tell of them, and what helps."""
    if down := [one for one in _DOWN if taints.get(one, 0) >= count]:
        return f"{count} {'is' if count == 1 else 'are'} down ({down[0]})", "see why: kubectl get nodes"
    seen = ", ".join(f"{name} on {number}" for name, number in sorted(taints.items()))
    return f"{count} {'has' if count == 1 else 'have'} a taint that is not tolerated ({quoted(seen)})", helps


def _filters(text: str) -> str:
    """Without what preemption found: the sentences after the first that ends the list."""
    return re.split(r"\.(?: preemption:| no new claims|$| \d+/\d+ nodes)", text, maxsplit=1)[0]


def _meaning(cause: str) -> tuple[str, str]:
    for one in _CAUSES:
        if found := one.pattern.search(cause):
            group = next((group for group in found.groups() if group), "")
            return one.means.format(f" {group}" if group.startswith("{") else group), one.helps
    return quoted(cause.removeprefix("node(s) ")), "check the cluster's nodes"


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _joined(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
