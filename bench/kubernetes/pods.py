"""``python -m bench.kubernetes.pods COUNT``: an API server that has Pods as a busy cluster has them, and nothing else.

Our own, and not kube-apiserver: on two cores that one would take the time that is measured. Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiohttp import web

_BOOKMARK = 60.0  # seconds between two, as the API server sends them
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
_TIME = "2026-11-22T10:{:02d}:{:02d}Z"


def pod(number: int) -> dict[str, Any]:
    """A ready replica of a service, some 8 KB of JSON: half of it is managedFields, as in a real cluster."""
    service, index = divmod(number, 10)
    name = f"model-{service:03d}-{number * 2654435761 % 2**32:08x}-{index:05d}"
    time = _TIME.format(number // 60 % 60, number % 60)
    return {
        "metadata": {
            "name": name,
            "generateName": f"model-{service:03d}-",
            "namespace": "ml",
            "uid": f"{number:08d}-0000-4000-8000-000000000000",
            "resourceVersion": str(1000 + number),
            "creationTimestamp": time,
            "labels": {
                "app.kubernetes.io/name": f"model-{service:03d}",
                "app.kubernetes.io/managed-by": "shipway",
                "shipway.dev/owner": "0123456789ab",
                "shipway.dev/workload": f"model-{service:03d}",
                "shipway.dev/revision": f"model-{service:03d}-00001",
                "pod-template-hash": f"{service:010x}",
            },
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"model-{service:03d}"}],
            "managedFields": [
                {"manager": "kube-controller-manager", "operation": "Update", "time": time, "fieldsV1": _fields(44)},
                {"manager": "kubelet", "operation": "Update", "time": time, "fieldsV1": _fields(36)},
            ],
        },
        "spec": _spec(service, number),
        "status": _status(number, time),
    }


def _fields(count: int) -> dict[str, Any]:
    inner: dict[str, Any] = {f"f:field{number:02d}": {".": {}, "f:name": {}, "f:value": {}} for number in range(count)}
    return {"f:metadata": {"f:labels": {".": {}}}, "f:spec": {'k:{"name":"main"}': inner}}


def _spec(service: int, number: int) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/v2/health/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 1}
    return {
        "volumes": [{"name": name, "emptyDir": {}} for name in ("tmp", "data", "shipway")],
        "containers": [
            {
                "name": "main",
                "image": f"ghcr.io/team/model-{service:03d}@sha256:{service:064x}",
                "command": ["python", "-m", "shipway.runtime.server"],
                "env": [{"name": f"SHIPWAY_VARIABLE_{n:02d}", "value": f"value of {n:02d}"} for n in range(16)],
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}},
                "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("tmp", "data", "shipway")],
                "startupProbe": probe,
                "readinessProbe": probe,
                "livenessProbe": probe,
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "terminationMessagePath": "/dev/termination-log",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "nodeName": f"node-{number % 100:03d}",
        "securityContext": {"runAsUser": 10001, "runAsNonRoot": True, "fsGroup": 10001},
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for key in ("not-ready", "unreachable")
        ],
    }


def _status(number: int, time: str) -> dict[str, Any]:
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": time} for kind in _CONDITIONS
    ]
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": f"192.168.0.{number % 100}",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": time,
        "containerStatuses": [
            {
                "name": "main",
                "state": {"running": {"startedAt": time}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "started": True,
                "imageID": f"ghcr.io/team/model@sha256:{number // 10:064x}",
                "containerID": f"containerd://{number:064x}",
            }
        ],
        "qosClass": "Guaranteed",
    }


class Server:
    """Lists in pages and one endless watch, with bookmarks."""

    def __init__(self, count: int, changes: float) -> None:
        self._pods = [pod(number) for number in range(count)]
        self._changes = changes

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/ml/pods", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        first, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 500))
        page = self._pods[first : first + limit]
        more = str(first + limit) if first + limit < len(self._pods) else ""
        return web.json_response({"metadata": {"resourceVersion": "100000", "continue": more}, "items": page})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for version, (pause, event) in enumerate(self._events(), 100_001):
                await asyncio.sleep(pause)
                event["object"].update(apiVersion="v1", kind="Pod")
                event["object"]["metadata"]["resourceVersion"] = str(version)
                await response.write(json.dumps(event).encode() + b"\n")
        return response

    def _events(self) -> Iterator[tuple[float, dict[str, Any]]]:
        while not self._changes:
            yield _BOOKMARK, {"type": "BOOKMARK", "object": {"metadata": {}}}
        while True:
            for one in self._pods:
                yield 1 / self._changes, {"type": "MODIFIED", "object": one}


async def _serve(count: int, changes: float) -> None:
    runner = web.AppRunner(Server(count, changes).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
