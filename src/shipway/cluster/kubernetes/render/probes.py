"""Probes, and how a replica ends. Pure.

Source: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (container probes, termination).
"""

from __future__ import annotations

from math import ceil
from typing import Any

from shipway.bundle import HttpProbe, Workload

_LONGEST_SLEEP = 5.0


def probes(workload: Workload, port: str) -> dict[str, Any]:
    """Of the container that listens on the port of that name. As on this machine, who names no readiness is ready when
    its port accepts a connection."""
    found = {
        "startupProbe": workload.startup,
        "readinessProbe": workload.readiness or HttpProbe(),
        "livenessProbe": workload.liveness,
    }
    return {name: _probe(probe, port) for name, probe in found.items() if probe is not None}


def ending(workload: Workload) -> tuple[dict[str, Any], int]:
    """The container's ``lifecycle`` and the Pod's terminationGracePeriodSeconds, both of the one number grace_period.

    A Pod that is deleted gets SIGTERM at once, while requests still come: nodes and load balancers hear of it some
    seconds later, and a server that obeys has closed its port by then. So it sleeps first, a quarter of the grace
    period and 5 s at most, and has the grace period after that, whole, as on this machine.
    """
    sleep = max(1, ceil(min(_LONGEST_SLEEP, workload.grace_period / 4)))
    return {"preStop": {"sleep": {"seconds": sleep}}}, sleep + ceil(workload.grace_period)


def _probe(probe: HttpProbe, port: str) -> dict[str, Any]:
    """Whole seconds of at least 1: the period is rounded, and the number of failures such that as much time may pass
    as was asked for before the last one."""
    period = max(1, int(probe.period + 0.5))
    asks = {"httpGet": {"path": probe.path, "port": port}} if probe.path else {"tcpSocket": {"port": port}}
    return {
        **asks,
        "periodSeconds": period,
        "timeoutSeconds": max(1, ceil(probe.timeout)),
        "failureThreshold": max(1, ceil(probe.failure_threshold * probe.period / period - 1e-9)),
    }
