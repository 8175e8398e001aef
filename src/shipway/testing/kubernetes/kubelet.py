"""Kubelet: plays the controllers, the scheduler and the nodes of a FakeKubernetes, so that its Pods live."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Self

from shipway.testing.kubernetes import collector, deploying, jobs
from shipway.testing.kubernetes.acting import Act, Play, plays_the_suite
from shipway.testing.kubernetes.answers import Refusal
from shipway.testing.kubernetes.server import FakeKubernetes
from shipway.testing.kubernetes.storage import Object

NODE = "fake-node-1"


class Kubelet:
    """``async with Kubelet(server) as kubelet``: from then on workloads become Pods, and Pods run.

    ``play`` says how a Pod behaves, and may be exchanged at any time; ``end`` and ``set_ready`` act on one that runs.
    """

    def __init__(self, server: FakeKubernetes, play: Play | None = None) -> None:
        self.server = server
        self.play = play or plays_the_suite(server.get)
        self.crashed: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._acts: dict[str, Act] = {}  # by uid of the Pod: of those that run
        self._addresses = 1
        if server.get("nodes", NODE) is None:
            self.add_node(NODE)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self.crashed is not None:
            raise self.crashed

    def add_node(self, name: str, **allocatable: str) -> None:
        """A node with 4 cores, 8 Gi and what is named; ``gpu="1"`` is nvidia.com/gpu."""
        sizes = {"cpu": "4", "memory": "8Gi", "pods": "110", **allocatable}
        sizes = {("nvidia.com/gpu" if key == "gpu" else key): value for key, value in sizes.items()}
        self.server.create("nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        info = {"containerRuntimeVersion": "containerd://2.1.0", "kubeletVersion": "v1.36.2", "architecture": "amd64"}
        ready = {"type": "Ready", "status": "True"}
        status = {"allocatable": sizes, "capacity": sizes, "nodeInfo": info, "conditions": [ready]}
        self.server.change("nodes", name, lambda node: node.update(status=status), subresource="status")

    def end(self, namespace: str, name: str, exit_code: int, *, reason: str = "", message: str = "") -> None:
        """A Pod's main container ends."""
        pod = self.server.get("pods", name, namespace)
        assert pod is not None, f"there is no Pod {name}"
        act = Act((), exit_code, reason, message)
        self._acts[pod["metadata"]["uid"]] = act
        self._finish(pod, act)

    def set_ready(self, namespace: str, name: str, ready: bool = True) -> None:
        """A Pod's readiness probe passes, or fails."""
        self._status(name, namespace, lambda status: _set_ready(status, ready, self.server.writes.now()))

    def write(self, namespace: str, name: str, text: str, container: str = "") -> None:
        """A container writes a line."""
        pod = self.server.get("pods", name, namespace)
        assert pod is not None, f"there is no Pod {name}"
        self.server.logs.write(pod, container or pod["spec"]["containers"][0]["name"], text, self.server.now())

    def event(self, obj: Object, reason: str, message: str, type: str = "Warning") -> None:
        """What ``kubectl describe`` shows below an object."""
        metadata, now = obj["metadata"], self.server.writes.now()
        about = {"kind": obj["kind"], "name": metadata["name"], "namespace": metadata["namespace"]}
        about |= {"uid": metadata["uid"], "apiVersion": obj["apiVersion"]}
        event = {
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "type": type,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": "kubelet"},
        }
        self.server.create("events", event, metadata["namespace"])

    def settle(self) -> None:
        """All that follows from what is stored, at once. (While the kubelet runs it does so by itself.)"""
        while self._once():
            continue

    async def _run(self) -> None:
        try:
            while True:
                self.settle()
                # Deadlines of jobs pass without a change of anything.
                await self.server.storage.news(0.05 if jobs.has_deadline(self.server) else 60.0)
        except Exception as error:
            self.crashed = error

    def _once(self) -> bool:
        before = self.server.storage.version
        collector.collect(self.server)
        deploying.deployments(self.server, self.event)
        deploying.stateful_sets(self.server, self.event)
        jobs.reconcile(self.server, self.event)
        for pod in self.server.peek("pods"):
            with suppress(Refusal):  # another one was faster
                self._pod(pod)
        return self.server.storage.version != before

    def _pod(self, pod: Object) -> None:
        metadata, status = pod["metadata"], pod.get("status", {})
        if "deletionTimestamp" in metadata:
            self._acts.pop(metadata["uid"], None)
            if not metadata.get("finalizers"):
                self.server.delete("pods", metadata["name"], metadata["namespace"], gracePeriodSeconds=0)
        elif status.get("phase") == "Pending" and metadata["uid"] not in self._acts:
            act = self._acts[metadata["uid"]] = self.play(pod)
            self._start(pod, act)

    def _start(self, pod: Object, act: Act) -> None:
        name, namespace, now = pod["metadata"]["name"], pod["metadata"]["namespace"], self.server.writes.now()
        if act.unschedulable:
            condition = _condition("PodScheduled", False, now, "Unschedulable", act.unschedulable)
            self._status(name, namespace, lambda status: status.update(conditions=[condition]))
            self.event(pod, "FailedScheduling", act.unschedulable)
            return
        self.server.change("pods", name, lambda live: live["spec"].update(nodeName=NODE), namespace)
        self._addresses += 1
        address = f"10.244.{self._addresses // 250}.{self._addresses % 250 + 1}"
        self._status(name, namespace, lambda status: status.update(_started(pod, act, now, address)))
        if act.waiting:
            self.event(pod, "Failed", act.message)
            return
        main = pod["spec"]["containers"][0]["name"]
        for line in act.lines:
            self.server.logs.write(pod, main, line, self.server.now())
        if act.exit_code is not None:
            self._finish(pod, act)

    def _finish(self, pod: Object, act: Act) -> None:
        """The main container ends: for ever in a job, else to be started again."""
        assert act.exit_code is not None
        name, now = pod["metadata"]["name"], self.server.writes.now()
        reason = act.reason or ("Error" if act.exit_code else "Completed")
        ended: Object = {"exitCode": act.exit_code, "reason": reason, "startedAt": now, "finishedAt": now}
        if act.message:
            ended["message"] = act.message
        again = pod["spec"]["restartPolicy"] == "Always"
        self._status(
            name, pod["metadata"]["namespace"], lambda status: _end(status, ended, again=again, now=now, pod=name)
        )

    def _status(self, name: str, namespace: str, how: Any) -> None:
        self.server.change("pods", name, lambda live: how(live["status"]), namespace, subresource="status")


def _condition(type: str, holds: bool, now: str, reason: str = "", message: str = "") -> Object:
    made = {"type": type, "status": str(holds), "lastProbeTime": None, "lastTransitionTime": now}
    more = {"reason": reason, "message": message}
    return {**made, **{name: value for name, value in more.items() if value}}


def _started(pod: Object, act: Act, now: str, address: str) -> Object:
    running = {"running": {"startedAt": now}}
    waiting = {"waiting": {"reason": act.waiting, "message": act.message}}
    inits = [
        _container(one, running if one.get("restartPolicy") == "Always" else {"terminated": _done(now)}, ready=True)
        for one in pod["spec"].get("initContainers", ())
    ]
    ready = act.ready and not act.waiting and act.exit_code is None
    mains = [_container(one, waiting if act.waiting else running, ready=ready) for one in pod["spec"]["containers"]]
    status: Object = {
        "phase": "Pending" if act.waiting else "Running",
        "startTime": now,
        "hostIP": "192.0.2.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "containerStatuses": mains,
        "conditions": [_condition("PodScheduled", True, now), _condition("Initialized", True, now)],
    }
    if inits:
        status["initContainerStatuses"] = inits
    _set_ready(status, ready, now)
    return status


def _done(now: str) -> Object:
    return {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}


def _container(spec: Object, state: Object, *, ready: bool) -> Object:
    up = "running" in state
    made = {"name": spec["name"], "state": state, "lastState": {}, "ready": ready, "started": up, "restartCount": 0}
    return {**made, "image": spec["image"], "imageID": spec["image"]}


def _set_ready(status: Object, ready: bool, now: str) -> None:
    for one in status["containerStatuses"]:
        one["ready"] = ready
    kept = [one for one in status["conditions"] if one["type"] not in ("Ready", "ContainersReady")]
    reason = "" if ready else "ContainersNotReady"
    status["conditions"] = [*kept, *(_condition(one, ready, now, reason) for one in ("ContainersReady", "Ready"))]


def _end(status: Object, ended: Object, *, again: bool, now: str, pod: str) -> None:
    main = status["containerStatuses"][0]
    if again:
        told = f"back-off 10s restarting failed container={main['name']} pod={pod}"
        main |= {"lastState": {"terminated": ended}, "restartCount": main["restartCount"] + 1, "started": False}
        main["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": told}}
    else:
        main |= {"state": {"terminated": ended}, "started": False}
        for sidecar in status.get("initContainerStatuses", ()):
            sidecar["state"] = {"terminated": _done(now)}
        status["phase"] = "Failed" if ended["exitCode"] else "Succeeded"
    _set_ready(status, False, now)
