"""Why a HorizontalPodAutoscaler does nothing. Pure.

Source: k8s.io/kubernetes pkg/controller/podautoscaler (conditions of horizontal.go, errors of metrics/client.go).
"""

from __future__ import annotations

import re

from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch import fields
from shipway.cluster.kubernetes.watch.why import quoted

_NOBODY = re.compile(r"could not find the requested resource|unable to fetch metrics|the server is currently unable")
_NOT_YET = re.compile(r"no metrics returned|did not receive metrics|no matching pods|no ready pods", re.I)
_NO_REQUEST = re.compile(r"missing request for (\S+)")


def why_no_metrics(autoscaler: Manifest) -> str:
    """A sentence, empty while it works. ``ScalingDisabled`` is what zero replicas are called."""
    active = fields.condition(autoscaler, "ScalingActive")
    reason, message = str(active.get("reason", "")), str(active.get("message", ""))
    if active.get("status") != "False" or reason == "ScalingDisabled":
        return ""
    if found := _NO_REQUEST.search(message):
        return f"scaling does nothing: a container asks for no {found[1]}; say it in `resources`"
    if _NOT_YET.search(message):  # before "unable to fetch": a metrics-server that is there says so of new Pods
        return f"scaling waits for the first metrics of the replicas ({reason})"
    if _NOBODY.search(message):
        server = "no metrics-server" if reason == "FailedGetResourceMetric" else "no adapter for such metrics"
        return f"scaling does nothing: {server} answers in this cluster ({reason}); have one installed"
    return f"scaling does nothing ({reason}: {quoted(message)})"
