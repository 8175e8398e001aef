"""What is rendered is taken by a real API server, under Pod Security "restricted", without a warning."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.render import render
from tests.cluster.kubernetes.render.bundles import SERVICES
from tests.kubernetes.control_plane import PATIENCE, ControlPlane

FILES = sorted((Path(__file__).parents[1] / "cluster" / "kubernetes").glob("*/golden/*.yaml"))
PLURALS = {
    "ConfigMap": "configmaps", "CronJob": "cronjobs", "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers", "Ingress": "ingresses", "Job": "jobs",
    "NetworkPolicy": "networkpolicies", "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets", "Secret": "secrets", "Service": "services",
    "ServiceAccount": "serviceaccounts", "StatefulSet": "statefulsets",
}  # fmt: skip


def _applied(
    plane: ControlPlane, namespace: str, manifest: Mapping[str, Any], *, dry_run: bool = True
) -> tuple[int, Any, str | None]:
    """Status, answer and ``Warning`` header of a server-side apply."""
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, timeout=PATIENCE, context=plane.tls())
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{root}/namespaces/{namespace}/{PLURALS[manifest['kind']]}/{manifest['metadata']['name']}"
    asked = "?fieldManager=shipway&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    body = {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
    try:
        connection.request("PATCH", path + asked, json.dumps(body), {"Content-Type": "application/apply-patch+yaml"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.getheader("Warning")
    finally:
        connection.close()


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane) -> str:
    made = control_plane.namespace(enforce="restricted", warn="restricted")
    # Admission knows the class of a Pod, so it must be there.
    important = {"metadata": {"name": "important"}, "value": 1000}
    status, _ = control_plane.request("POST", "/apis/scheduling.k8s.io/v1/priorityclasses", important)
    assert status in (201, 409)
    return made


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parents[1].name}-{file.stem}")
def test_the_api_server_takes_every_golden_file(control_plane: ControlPlane, namespace: str, file: Path) -> None:
    for manifest in yaml.safe_load_all(file.read_text()):
        if manifest["kind"] == "HTTPRoute":
            continue  # needs the Gateway API's own definitions, which a vanilla cluster has not
        status, answer, warning = _applied(control_plane, namespace, manifest)
        assert (status, warning) == (201, None), f"{manifest['kind']}: {warning} {json.dumps(answer)[:2000]}"
        assert _missing(manifest, answer) == [], "the server writes it otherwise, so that it would always differ"


def _missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """What of ``wanted`` is not in ``found`` in the same words; an empty list may be left out."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return [line for key, one in wanted.items() for line in _missing(one, found.get(key), f"{path}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for n, one in enumerate(wanted) for line in _missing(one, found[n], f"{path}[{n}]")]
    same = wanted == found or (wanted == [] and found is None) or path == ".metadata.namespace"
    return [] if same else [f"{path}: {wanted!r} is {found!r}"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parents[1].name}-{file.stem}")
def test_pod_security_admits_every_pod(control_plane: ControlPlane, namespace: str, file: Path) -> None:
    """Of a Deployment the server only warns; a Pod it refuses."""
    for manifest in yaml.safe_load_all(file.read_text()):
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" not in spec.get("template", {}).get("spec", {}):
            continue
        pod = {"apiVersion": "v1", "kind": "Pod", **spec["template"]}
        pod["metadata"] = {**pod["metadata"], "name": "only"}
        volumes = pod["spec"].get("volumes", [])
        templated = [one["metadata"] for one in spec.get("volumeClaimTemplates", ())]  # as the StatefulSet's controller
        claims = [{"name": one["name"], "persistentVolumeClaim": {"claimName": one["name"]}} for one in templated]
        pod["spec"] = {**pod["spec"], "volumes": [*volumes, *claims]}
        status, answer, warning = _applied(control_plane, namespace, pod)
        assert (status, warning) == (201, None), f"{warning} {json.dumps(answer)[:2000]}"


def test_pod_security_is_on(control_plane: ControlPlane, namespace: str) -> None:
    """The tests above would pass without it."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}}
    status, answer, _ = _applied(
        control_plane, namespace, {**pod, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    )
    assert status == 403 and "restricted" in answer["message"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("gateway", "tutorial")])
def test_a_service_takes_its_next_revision(control_plane: ControlPlane, name: str) -> None:
    """From another hub, too: selectors and whatever else can never be changed stay as they are. Applied again, nothing
    is written."""
    namespace = control_plane.namespace(enforce="restricted")
    bundle, place = SERVICES[name]
    first = render(bundle, replace(place, namespace=namespace))
    owner = replace(bundle.terms.owner, revision=f"{name}-00099", labels={"team": "other"})
    workload = replace(bundle.workload, env={"NEW": "1"}, replicas=5, grace_period=7.0)
    next_one = Bundle(workload, replace(bundle.terms, owner=owner, image="ghcr.io/team/next@sha256:" + "d" * 64))
    second = render(next_one, replace(place, namespace=namespace, owner="ffffffffffff"))
    for manifests in (first, second):
        for manifest in manifests:
            # Thrice: the server itself writes a claim once more at the first apply after its creation.
            answers = [_applied(control_plane, namespace, manifest, dry_run=False) for _ in range(3)]
            for status, answer, warning in answers:
                assert status in (200, 201) and warning is None, f"{manifest['kind']}: {warning} {answer}"
            assert len({one["metadata"]["resourceVersion"] for _, one, _ in answers[1:]}) == 1, manifest["kind"]
