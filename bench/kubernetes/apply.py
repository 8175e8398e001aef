"""200 services to a real API server: a first pass that writes all, and a second one that must write nothing.

CPU seconds of this process, rendering included: what the API server takes is its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import Figure
from shipway.bundle import Bundle, Environment, HttpProbe, Owner, Terms, Workload
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import Access, read
from shipway.cluster.kubernetes.apply import Applier, Key, key_of
from shipway.cluster.kubernetes.apply.applier import KINDS
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.kinds import Resources, Scaling, Volume
from tests.kubernetes.control_plane import ControlPlane, missing

SERVICES = 200
OWNER = "0123456789ab"
DIGEST = "sha256:" + "1" * 64


class Counted(Api):
    """Counts what is sent to be written."""

    writes = 0

    async def apply(self, manifest: Manifest, **how: Any) -> Manifest:
        self.writes += 1
        return await super().apply(manifest, **how)


def kubernetes(repeat: int) -> Iterator[Figure]:
    """A control plane on loopback, by the envtest convention; a namespace for each sample."""
    if reason := missing():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder)) as plane:
        access = read("", str(plane.kubeconfig), {})
        samples = [asyncio.run(_measured(access, plane.namespace())) for _ in range(repeat + 1)][1:]
    objects = samples[0]["objects"]
    for name, bar in (("first apply", 10.0), ("second pass", None)):
        for what in ("CPU", "time"):
            taken = tuple(one[f"{name} {what}"] for one in samples)
            yield Figure(f"{name} of {objects:,.0f} objects, {what}", "s", taken, bar if what == "CPU" else None)
    yield Figure("writes of the second pass", "", tuple(one["writes"] for one in samples), 0)
    yield Figure("resourceVersions changed by the second pass", "", tuple(one["changed"] for one in samples), 0)


async def _measured(access: Access, namespace: str) -> dict[str, float]:
    bundles = [service(number) for number in range(SERVICES)]
    place = Place(namespace, OWNER, references={}, secrets={"login": {"token": "t" * 40}})
    found: dict[str, float] = {}
    async with Counted.connect(access) as api:
        applied: Sequence[Manifest] = ()
        for name in ("first apply", "second pass"):
            before = await _versions(api, namespace)
            api.writes, cpu, started = 0, time.process_time(), time.perf_counter()
            manifests = [one for bundle in bundles for one in render(bundle, place)]
            applied = [one.manifest for one in await Applier(api, place).apply(manifests)]
            found[f"{name} CPU"] = time.process_time() - cpu
            found[f"{name} time"] = time.perf_counter() - started
        after = await _versions(api, namespace)
        found["objects"] = len(applied)
        found["writes"] = api.writes
        found["changed"] = sum(before.get(key) != version for key, version in after.items())
    return found


async def _versions(api: Api, namespace: str) -> Mapping[Key, str]:
    def version(live: dict[str, Any]) -> tuple[Key, str]:
        return key_of(live), live["metadata"]["resourceVersion"]

    kinds = [one for one in KINDS if one.kind != "HTTPRoute"]  # the Gateway API is not installed
    return dict([pair for kind in kinds for pair in (await api.list(kind, namespace=namespace, into=version)).items])


def service(number: int) -> Bundle:
    """One with all that a service usually has: 8 objects."""
    name = f"digits-{number:03d}"
    workload = Workload(
        name=name,
        mode="server",
        command=("python", "-m", "shipway.runtime.server"),
        replicas=2,
        env={"SHIPWAY_MODEL_NAME": name},
        secret_env={"TOKEN": ("login", "token")},
        environment=Environment(),
        serves=True,
        startup=HttpProbe("/v2/health/live", failure_threshold=60),
        readiness=HttpProbe("/v2/health/ready"),
        liveness=HttpProbe("/v2/health/live"),
    )
    terms = Terms(
        owner=Owner("ModelService", name, uid=f"00000000-0000-0000-0000-{number:012d}", revision=f"{name}-00001"),
        image=f"registry.example.com/team/digits@{DIGEST}",
        resources=Resources(cpu="500m", memory="1Gi"),
        volumes=(Volume(name="settings", path="/etc/digits", files={"labels.txt": "zero\none\n"}),),
        scaling=Scaling(min_replicas=2, max_replicas=4),
    )
    return Bundle(workload, terms)
