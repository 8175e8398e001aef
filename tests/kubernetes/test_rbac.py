"""The Role that we print is enough for all that our code does, and nothing in it is too much."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shipway.clock import SystemClock
from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.credentials import read
from shipway.cluster.kubernetes.api.resources import PODS, Resource, resource_of
from shipway.cluster.kubernetes.apply import Applier, Ownership, key_of
from shipway.cluster.kubernetes.apply.preflight import preflight
from shipway.cluster.kubernetes.check import rbac
from shipway.cluster.kubernetes.check.features import look
from shipway.cluster.kubernetes.check.findings import check
from shipway.cluster.kubernetes.check.rights import Right, missing
from shipway.cluster.kubernetes.check.together import together
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch.world import World
from shipway.errors import ClusterRefused, NotFound, Refused, ShipwayError, UserError
from shipway.kinds import ClusterSpec, Resources, Volume
from tests.kubernetes.applied import OWNER, bundle, exposed, job, on, place, rendered
from tests.kubernetes.control_plane import ControlPlane

Told = tuple[str | None, str, str]  # Pod Security, why there are no image volumes, what a preflight found

_HTTP_ROUTES = {"group": "gateway.networking.k8s.io", "plural": "httproutes", "kind": "HTTPRoute"}
_GATEWAYS = {"group": "gateway.networking.k8s.io", "plural": "gateways", "kind": "Gateway"}


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace with a user who has the printed Role in it, or that without one right."""

    plane: ControlPlane
    namespace: str
    kubeconfig: Path


@pytest.fixture(scope="module")
def plane(own_control_plane: ControlPlane) -> ControlPlane:
    """With the kinds of the Gateway API."""
    for one in (_HTTP_ROUTES, _GATEWAYS):
        own_control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(_definition(**one)))
        crd = f"crd/{one['plural']}.{one['group']}"
        own_control_plane.kubectl("wait", crd, "--for=condition=Established", "--timeout=30s")
    return own_control_plane


def _definition(group: str, plural: str, kind: str) -> Manifest:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def _place(plane: ControlPlane, without: Right | None = None) -> Place:
    namespace = plane.namespace()
    user = f"hub-{namespace}"
    for document in rbac.manifests(namespace, f"User:{user}"):
        rules = [one for rule in document.get("rules", ()) for one in _without(rule, without)]
        kept = {**document, "rules": rules} if rules else document
        status, answer = plane.request("POST", resource_of(kept).path(document["metadata"].get("namespace", "")), kept)
        assert status == 201, answer
    return Place(plane, namespace, plane.user(user))


def _without(rule: dict[str, Any], right: Right | None) -> list[dict[str, Any]]:
    """The rule as one or two, which together lack that verb on that resource."""
    if right is None or rule["apiGroups"] != [right.group] or right.plural not in rule["resources"]:
        return [rule]
    if right.verb not in rule["verbs"] or bool(right.name) != bool(rule.get("resourceNames")):
        return [rule]
    others = {**rule, "resources": [one for one in rule["resources"] if one != right.plural]}
    less = {**rule, "resources": [right.plural], "verbs": [one for one in rule["verbs"] if one != right.verb]}
    return [one for one in (others, less) if one["resources"] and one["verbs"]]


async def _everything(api: Api, namespace: str) -> Told:
    """All that Shipway asks of an API server, kind for kind and verb for verb."""
    features = await look(api, namespace)
    owner = Ownership(api, namespace, OWNER, SystemClock())
    await owner.claim()
    await owner.claim(take_over=True)
    applier = Applier(api, place(namespace))
    manifests = _all_kinds(namespace)
    problems = ""
    try:
        await preflight(api, applier, manifests)
    except (NotFound, Refused) as error:
        problems = error.message
    await applier.apply(manifests)
    # More than a few objects of a kind are listed and not read one by one.
    assert {one.result for one in await applier.apply(manifests)} == {"unchanged"}
    await applier.diff(rendered(bundle("new"), namespace))
    await _watched(api, namespace)
    await _pod(api, namespace)
    await applier.prune("kept", [key_of(one) for one in manifests])
    for workload in sorted({one["metadata"]["labels"]["shipway.dev/workload"] for one in manifests if _labelled(one)}):
        await applier.delete(workload)
    return features.pod_security, features.image_volumes_because, problems


def _labelled(manifest: Manifest) -> bool:
    return "shipway.dev/workload" in manifest["metadata"].get("labels", {})


def _all_kinds(namespace: str) -> list[Manifest]:
    volume = Volume(name="data", path="/data", size="1Gi")
    bundles = [
        exposed("shown"),
        bundle("steady", stable_identity=True, volumes=(volume,)),
        bundle("kept", volumes=(volume,), scaling=True, resources=Resources(cpu="1", gpu=1)),
        job(),
    ]
    found = [one for each in bundles for one in rendered(each, namespace)]
    kept = next(one for one in found if one["kind"] == "Service")
    labels = kept["metadata"]["labels"]
    parent = {"parentRefs": [{"name": "theirs"}], "rules": []}
    template = next(one for one in found if one["kind"] == "Job")["spec"]
    cron = {"schedule": "0 0 * * *", "jobTemplate": {"spec": {"template": template["template"]}}}
    for version, kind, spec in (
        ("gateway.networking.k8s.io/v1", "HTTPRoute", parent),
        ("batch/v1", "CronJob", cron),
    ):
        metadata = {"name": "extra", "namespace": namespace, "labels": labels}
        found.append({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})
    return found


async def _watched(api: Api, namespace: str) -> None:
    """Each kind that the world looks at, listed and watched as its caches do."""
    kinds = tuple(World(api, namespace, OWNER, SystemClock(), routes=True)._caches)
    for kind in kinds:
        await api.list(kind, namespace=namespace)
    await together(_watch(api, kind, namespace) for kind in kinds)


async def _watch(api: Api, kind: Resource, namespace: str) -> None:
    """Of what does not exist: the server refuses it at once, or ends it after a second."""
    params = {"watch": "1", "timeoutSeconds": "1", "fieldSelector": "metadata.name=none"}
    await api.raw("GET", kind.path(namespace), params=params)


async def _pod(api: Api, namespace: str) -> None:
    """Its log and a port; there is no kubelet behind them, which is another refusal than one for a right."""
    await _not_forbidden(_log(api, namespace))
    await _not_forbidden(_port(api, namespace))


async def _not_forbidden(asked: Any) -> None:
    try:
        await asked
    except ClusterRefused as error:
        if error.status == 403:
            raise
    except ShipwayError:
        pass


async def _log(api: Api, namespace: str) -> None:
    async for _ in api.logs("pod", namespace, "main"):
        pass


async def _port(api: Api, namespace: str) -> None:
    path = PODS.path(namespace, "pod", "portforward")
    async with api.websocket(path, ("SPDY/3.1+portforward.k8s.io",), (("ports", "8080"),)):
        pass


async def _ready(api: Api, namespace: str, rights: list[Right]) -> None:
    """The authorizer learns of roles a moment after they were made."""
    for _ in range(200):
        if not await missing(api, namespace, rights):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the role is not in force")


async def _told(place: Place, without: Right | None = None) -> Told:
    """All of it, as the user of the place; in a namespace with a Pod and a quota that allows no GPU. Without the
    namespace's name, so that two can be compared."""
    pod = {
        "metadata": {"name": "pod"},
        "spec": {"containers": [{"name": "main", "image": "a"}], "nodeName": "none"},
    }
    place.plane.request("POST", f"/api/v1/namespaces/{place.namespace}/pods", pod)

    quotas = f"/api/v1/namespaces/{place.namespace}/resourcequotas"
    hard = {"requests.nvidia.com/gpu": "0"}
    _, quota = place.plane.request("POST", quotas, {"metadata": {"name": "gpus"}, "spec": {"hard": hard}})
    place.plane.request("PUT", f"{quotas}/gpus/status", {**quota, "status": {"hard": hard, "used": hard}})

    async with Api.connect(read("", str(place.kubeconfig), {})) as api:
        rights = [one for one in rbac.rights(place.namespace) if without is None or not _same(one, without)]
        await _ready(api, place.namespace, rights)
        level, volumes, problems = await _everything(api, place.namespace)
    return level, volumes.replace(place.namespace, ""), problems.replace(place.namespace, "")


def _same(one: Right, other: Right) -> bool:
    """But for the name, which may be the namespace's own."""
    return replace(one, name=str(bool(one.name))) == replace(other, name=str(bool(other.name)))


def test_with_the_printed_role_all_of_it_works(plane: ControlPlane) -> None:
    made = _place(plane)
    asyncio.run(_told(made))

    async def do(api: Api) -> None:
        world = World(api, made.namespace, OWNER, SystemClock(), routes=True)
        await world.start()
        await world.close()
        spec = ClusterSpec(type="kubernetes", namespace=made.namespace, registry="registry.example.com/team")
        found = {one.name: one for one in await check(api, spec)}
        assert found["rights"].state == "ok", found["rights"].message
        assert found["nodes"].state == "degraded" and "no node" in found["nodes"].message

    on(made.kubeconfig, do)


# What is looked up only to say more: without these rights nothing fails, and less is told.
_TELLING = {("namespaces", "get"), ("gateways", "get"), ("resourcequotas", "list"), ("pods", "create")}


@pytest.mark.thorough
@pytest.mark.timeout(500)
def test_without_any_one_right_something_fails(plane: ControlPlane) -> None:
    """A user for each right, side by side on one API server."""
    slots = asyncio.Semaphore(12)

    async def is_needed(right: Right, full: Told) -> bool:
        async with slots:
            try:
                less = await _told(_place(plane, right), right)
            except ClusterRefused as error:
                return error.status == 403 and right.plural.partition("/")[0] in error.message
            return (right.plural, right.verb) in _TELLING and less != full

    async def all_of_them(rights: list[Right]) -> list[Right]:
        full = await _told(_place(plane))
        needed = await asyncio.gather(*(is_needed(one, full) for one in rights))
        return [one for one, is_so in zip(rights, needed, strict=True) if not is_so]

    assert asyncio.run(all_of_them(sorted(set(rbac.rights("NAMESPACE"))))) == []


def test_a_subject_that_is_none() -> None:
    with pytest.raises(UserError, match="'ada' is no subject of a RoleBinding"):
        rbac.manifests("ml", "ada")
