"""Apply, upgrade, prune and conflicts against a real API server; kubectl is the other manager."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from bench.kubernetes.apply import Counted
from shipway.bundle import Bundle
from shipway.cluster.kubernetes.api.credentials import read
from shipway.cluster.kubernetes.api.resources import SERVICE_ACCOUNTS
from shipway.cluster.kubernetes.apply import Applied, Applier, Difference, key_of
from shipway.cluster.kubernetes.apply.difference import HIDDEN
from shipway.cluster.kubernetes.apply.preflight import preflight
from shipway.cluster.kubernetes.names import APPLIED, Manifest
from shipway.errors import ClusterRefused, ClusterUnreachable, Conflict, NotFound, Refused, ShipwayError
from shipway.kinds import Placement, Resources, Volume
from tests.kubernetes.applied import bundle, exposed, job, on, place, rendered
from tests.kubernetes.control_plane import ControlPlane

OTHER = "ba9876543210"


def _apply(plane: ControlPlane, manifests: Sequence[Manifest], **options: Any) -> tuple[tuple[Applied, ...], int]:
    """What was done, and how many writes were sent."""
    namespace, owner = _where(manifests)

    async def do(api: Counted) -> tuple[tuple[Applied, ...], int]:
        done = await Applier(api, place(namespace, owner), patience=1).apply(manifests, **options)
        return done, api.writes

    return on(plane.kubeconfig, do)


def _where(manifests: Sequence[Manifest]) -> tuple[str, str]:
    metadata = manifests[0]["metadata"]
    return metadata["namespace"], metadata["labels"]["shipway.dev/owner"]


def _applier_does(plane: ControlPlane, namespace: str, method: str, *arguments: Any, **options: Any) -> Any:
    async def do(api: Counted) -> Any:
        return await getattr(Applier(api, place(namespace), **options), method)(*arguments)

    return on(plane.kubeconfig, do)


def _refusal(plane: ControlPlane, one: Bundle, namespace: str) -> ShipwayError:
    """Of the preflight; nothing may have been written."""
    manifests = rendered(one, namespace)

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place(namespace)), manifests)

    with pytest.raises(ShipwayError) as caught:
        on(plane.kubeconfig, do)
    assert plane.kubectl("get", "deployments,jobs,services,secrets", "-n", namespace, "-o", "name") == ""
    return caught.value


def _live(plane: ControlPlane, namespace: str, kind: str = "deployment", name: str = "digits") -> Any:
    return json.loads(plane.kubectl("get", kind, name, "-n", namespace, "-o", "json"))


def _replaced(manifests: Sequence[Manifest], kind: str, **spec: Any) -> tuple[Manifest, ...]:
    return tuple({**one, "spec": {**one["spec"], **spec}} if one["kind"] == kind else one for one in manifests)


def test_all_is_made_and_a_second_pass_sends_no_write(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    manifests = rendered(bundle(scaling=True), namespace)
    first, writes = _apply(control_plane, manifests)
    assert {one.result for one in first} == {"created"} and writes == len(manifests) == 8
    again, writes = _apply(control_plane, manifests)
    assert {one.result for one in again} == {"unchanged"} and writes == 0
    versions = [[one.manifest["metadata"]["resourceVersion"] for one in done] for done in (first, again)]
    assert versions[0] == versions[1]


def test_every_kind_that_is_rendered_is_found_unchanged(control_plane: ControlPlane) -> None:
    """Fields that the server fills in, sorts or makes canonical must not look like somebody's change."""
    namespace = control_plane.namespace()
    volumes = (Volume(name="data", path="/data", size="1Gi"), Volume(name="tmp2", path="/t", scratch="1024Mi"))
    bundles = [
        exposed("shown"),
        bundle("steady", stable_identity=True, volumes=volumes),
        bundle("kept", volumes=volumes, resources=Resources(cpu="1000m", memory="1024Mi", gpu=1)),
        job(),
    ]
    manifests = [one for each in bundles for one in rendered(each, namespace)]
    _apply(control_plane, manifests)
    again, writes = _apply(control_plane, manifests)
    assert [str(key_of(one.manifest)) for one in again if one.result != "unchanged"] == [] and writes == 0


def test_an_upgrade_writes_what_differs_alone(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    _apply(control_plane, rendered(bundle(), namespace))
    other = bundle(image="registry.example.com/team/digits@sha256:" + "2" * 64)
    done, _ = _apply(control_plane, rendered(other, namespace))
    changed = {one.manifest["kind"] for one in done if one.result == "configured"}
    assert "Deployment" in changed and "ConfigMap" not in changed and "NetworkPolicy" not in changed
    assert _live(control_plane, namespace)["spec"]["template"]["spec"]["containers"][0]["image"].endswith("2" * 64)


def test_a_field_that_is_not_rendered_any_more_goes(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, _replaced(manifests, "Deployment", minReadySeconds=7))
    _apply(control_plane, manifests)
    assert "minReadySeconds" not in _live(control_plane, namespace)["spec"]


def test_who_scaled_is_told_and_overruled_when_asked(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    control_plane.kubectl("scale", "deployment/digits", "-n", namespace, "--replicas=5")
    with pytest.raises(Conflict, match=rf"Deployment {namespace}/digits: kubectl manages .spec.replicas") as caught:
        _apply(control_plane, manifests)
    assert "--force-conflicts" in caught.value.next_step
    done, writes = _apply(control_plane, manifests, force_conflicts=True)
    assert writes == 1 and [one.result for one in done].count("configured") == 1
    assert _live(control_plane, namespace)["spec"]["replicas"] == 2


def test_an_autoscaler_takes_over_the_replicas_that_there_are(control_plane: ControlPlane) -> None:
    """Left out of an apply and held by nobody else, the number would fall to its default: one replica of 20."""
    namespace = control_plane.namespace()
    fixed, scaled = rendered(bundle(), namespace), rendered(bundle(scaling=True), namespace)
    _apply(control_plane, _replaced(fixed, "Deployment", replicas=20))
    shown = on(control_plane.kubeconfig, lambda api: Applier(api, place(namespace)).diff(scaled))
    assert ".spec.replicas" not in [field.path for one in shown for field in one.fields]
    assert _live(control_plane, namespace)["spec"]["replicas"] == 20
    _apply(control_plane, scaled, dry_run=True)
    _apply(control_plane, scaled)
    assert _live(control_plane, namespace)["spec"]["replicas"] == 20
    _, writes = _apply(control_plane, scaled)
    assert writes == 0
    _apply(control_plane, fixed)
    assert _live(control_plane, namespace)["spec"]["replicas"] == 2


def test_replicas_are_taken_back_from_an_autoscaler_of_ours_alone(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    fixed, scaled = rendered(bundle(), namespace), rendered(bundle(scaling=True), namespace)
    _apply(control_plane, fixed)
    _apply(control_plane, scaled)
    as_autoscaler = ("patch", "deployment/digits", "-n", namespace, "--field-manager=kube-controller-manager")
    control_plane.kubectl(*as_autoscaler, "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":7}}')
    _apply(control_plane, scaled)
    assert _live(control_plane, namespace)["spec"]["replicas"] == 7
    foreign = {"metadata": {"name": "theirs"}, "spec": {"maxReplicas": 9, "scaleTargetRef": DIGITS}}
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    assert control_plane.request("POST", path, foreign)[0] == 201
    with pytest.raises(Conflict, match=r"kube-controller-manager manages .spec.replicas"):
        _apply(control_plane, fixed)
    control_plane.request("DELETE", f"{path}/theirs")
    _apply(control_plane, fixed)
    assert _live(control_plane, namespace)["spec"]["replicas"] == 2


DIGITS = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "digits"}


def test_what_somebody_removed_is_put_back(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    without = '[{"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"}]'
    control_plane.kubectl("patch", "deployment", "digits", "-n", namespace, "--type=json", "-p", without)
    control_plane.kubectl("label", "service", "digits", "-n", namespace, "app.kubernetes.io/name-")
    done, writes = _apply(control_plane, manifests)
    assert writes == 2
    assert {one.manifest["kind"] for one in done if one.result == "configured"} == {"Deployment", "Service"}
    container = _live(control_plane, namespace)["spec"]["template"]["spec"]["containers"][0]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_what_somebody_adds_stays(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    control_plane.kubectl("annotate", "deployment", "digits", "-n", namespace, "team=ml")
    assert _apply(control_plane, manifests)[1] == 0
    assert _live(control_plane, namespace)["metadata"]["annotations"]["team"] == "ml"


def test_a_digest_that_somebody_forged_hides_no_change(control_plane: ControlPlane) -> None:
    """The annotation alone proves nothing: who writes it takes it away from us."""
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    digest = _live(control_plane, namespace)["metadata"]["annotations"][APPLIED]
    control_plane.kubectl("annotate", "deployment", "digits", "-n", namespace, f"{APPLIED}=x", "--overwrite")
    control_plane.kubectl("annotate", "deployment", "digits", "-n", namespace, f"{APPLIED}={digest}", "--overwrite")
    assert _apply(control_plane, manifests)[1] == 1


def test_what_others_made_is_adopted_only_when_asked(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    control_plane.kubectl("create", "serviceaccount", "digits", "-n", namespace)
    manifests = [one for one in rendered(bundle(), namespace) if one["kind"] == "ServiceAccount"]
    with pytest.raises(Conflict, match="exists, and was not made by Shipway"):
        _apply(control_plane, manifests)
    assert _apply(control_plane, manifests, force_conflicts=True)[0][0].result == "configured"


def test_another_hubs_objects_are_left_alone_until_it_is_a_predecessor(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    _apply(control_plane, rendered(bundle(), namespace, OTHER))
    manifests = rendered(bundle(), namespace)
    for force in (False, True):
        with pytest.raises(Conflict, match=f"belongs to another Shipway hub \\({OTHER}\\)"):
            _apply(control_plane, manifests, force_conflicts=force)
    assert _applier_does(control_plane, namespace, "prune", "digits", ()) == ()
    done = _applier_does(control_plane, namespace, "apply", manifests, predecessors=(OTHER,))
    assert {one.result for one in done} == {"configured"}


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("Deployment", {"selector": {"matchLabels": {"a": "b"}}}, "the selector of a Deployment"),
        ("Service", {"clusterIP": "10.0.99.99"}, "the cluster IP of a Service"),
    ],
)
def test_immutable_fields(control_plane: ControlPlane, kind: str, change: dict[str, Any], said: str) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    changed = _replaced(manifests, kind, **change)
    if kind == "Deployment":
        template = next(one for one in manifests if one["kind"] == kind)["spec"]["template"]
        labels = {**template["metadata"]["labels"], "a": "b"}
        template = {**template, "metadata": {**template["metadata"], "labels": labels}}
        selector = {"matchLabels": {"a": "b"}}
        changed = _replaced(manifests, kind, template=template, selector=selector)
    with pytest.raises(Conflict, match=f"{kind} {namespace}/digits cannot be changed in this way: {said}") as caught:
        _apply(control_plane, changed)
    assert f"kubectl delete {kind.lower()} digits -n {namespace}" in caught.value.next_step


def test_a_job_is_used_once_and_a_claim_does_not_shrink(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    _apply(control_plane, rendered(job(), namespace))
    with pytest.raises(Conflict, match="the Pods and completions of a Job") as caught:
        _apply(control_plane, rendered(job(command="other"), namespace))
    assert "another run" in caught.value.next_step
    claim = _claim(namespace, "2Gi")
    _apply(control_plane, [claim])
    with pytest.raises(Conflict, match=r"of a claim, all but a larger size|cannot become smaller"):
        _apply(control_plane, [_claim(namespace, "1Gi")])


def _claim(namespace: str, size: str) -> Manifest:
    labels = {"shipway.dev/owner": "0123456789ab", "shipway.dev/kind": "ModelService", "shipway.dev/name": "digits"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "digits-data", "namespace": namespace, "labels": labels},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


def test_the_volumes_of_a_stateful_set_stay(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    volume = Volume(name="data", path="/data", size="1Gi")
    _apply(control_plane, rendered(bundle(stable_identity=True, volumes=(volume,)), namespace))
    larger = rendered(bundle(stable_identity=True, volumes=(volume.model_copy(update={"size": "2Gi"}),)), namespace)
    with pytest.raises(Conflict, match="of a StatefulSet, all but") as caught:
        _apply(control_plane, larger)
    assert "--cascade=orphan" in caught.value.next_step


def test_an_object_that_is_being_deleted_is_waited_for_and_told(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(), namespace)
    _apply(control_plane, manifests)
    control_plane.kubectl(
        "patch", "configmap", f"{_config_map(manifests)}", "-n", namespace, "--type=merge",
        "-p", '{"metadata": {"finalizers": ["example.com/hold"]}}',
    )  # fmt: skip
    control_plane.kubectl("delete", "configmap", _config_map(manifests), "-n", namespace, "--wait=false")
    with pytest.raises(Conflict, match=r"is being deleted since .*Z, and held by example.com/hold"):
        _apply(control_plane, manifests)
    free = '{"metadata": {"finalizers": null}}'
    control_plane.kubectl("patch", "configmap", _config_map(manifests), "-n", namespace, "--type=merge", "-p", free)
    assert [one.result for one in _apply(control_plane, manifests)[0]].count("created") == 1


def _config_map(manifests: Sequence[Manifest]) -> str:
    return str(next(one["metadata"]["name"] for one in manifests if one["kind"] == "ConfigMap"))


def test_prune_removes_what_is_not_rendered_any_more_and_keeps_claims(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    _apply(control_plane, [*rendered(bundle(scaling=True), namespace), _claim(namespace, "1Gi")])
    _apply(control_plane, rendered(bundle("other"), namespace))
    manifests = rendered(bundle(), namespace)
    told = _applier_does(control_plane, namespace, "prune", "digits", {key_of(one) for one in manifests})
    assert told[0] == f"deleted HorizontalPodAutoscaler {namespace}/digits"
    assert told[1:] == (
        f"kept PersistentVolumeClaim {namespace}/digits-data, for it may hold data: "
        f"kubectl delete pvc digits-data -n {namespace} removes it and its volume",
    )
    assert len(_applier_does(control_plane, namespace, "delete", "digits")) == len(manifests) + 1
    left = control_plane.kubectl("get", "deploy,svc,sa,cm,netpol,pdb,secret,hpa,pvc", "-n", namespace, "-o", "name")
    assert any("/other" in line for line in left.split())
    assert [line for line in left.split() if "/digits" in line] == ["persistentvolumeclaim/digits-data"]


def test_diff_shows_fields_and_no_secret(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    manifests = rendered(bundle(scaling=True), namespace)
    assert {one.change for one in _diff(control_plane, namespace, manifests)} == {"create"}
    _apply(control_plane, manifests)
    assert _diff(control_plane, namespace, manifests) == ()
    control_plane.kubectl("annotate", "deployment", "digits", "-n", namespace, "team=ml")
    assert _diff(control_plane, namespace, manifests) == ()
    other = bundle(image="registry.example.com/team/digits@sha256:" + "2" * 64)
    secret = {"data": {"login.token": "bmV3"}}
    wanted = [{**one, **secret} if one["kind"] == "Secret" else one for one in rendered(other, namespace)]
    found = {one.key.kind: one for one in _diff(control_plane, namespace, wanted)}
    assert found["HorizontalPodAutoscaler"].change == "delete"
    paths = {one.path: one for one in found["Deployment"].fields}
    image = paths[".spec.template.spec.containers[main].image"]
    assert (image.before[-1], image.after[-1]) == ("1", "2")
    assert {one.after for one in found["Secret"].fields} <= {HIDDEN, None}
    assert "bmV3" not in repr(found)


def _diff(plane: ControlPlane, namespace: str, manifests: Sequence[Manifest]) -> tuple[Difference, ...]:
    found: tuple[Difference, ...] = _applier_does(plane, namespace, "diff", manifests)
    return found


def test_preflight_of_what_is_well_writes_nothing(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    manifests = rendered(bundle(), namespace)

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place(namespace)), manifests)
        assert await api.get(SERVICE_ACCOUNTS, "digits", namespace) is None
        await Applier(api, place(namespace)).apply(manifests)
        api.writes = 0
        await preflight(api, Applier(api, place(namespace)), manifests)
        assert api.writes == 0

    on(control_plane.kubeconfig, do)


def test_a_namespace_that_is_missing(control_plane: ControlPlane) -> None:
    manifests = rendered(bundle(), "nowhere")

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place("nowhere")), manifests)

    with pytest.raises(NotFound, match='There is no namespace "nowhere"'):
        on(control_plane.kubeconfig, do)


def test_a_quota_that_has_no_room(full_control_plane: ControlPlane) -> None:
    """Used figures are the controller manager's."""
    namespace = full_control_plane.namespace()
    full_control_plane.kubectl("create", "quota", "team", "-n", namespace, "--hard=requests.cpu=800m,pods=10")
    give_up = time.monotonic() + 60
    while "used" not in _live(full_control_plane, namespace, "quota", "team").get("status", {}):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    manifests = rendered(bundle(), namespace)

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place(namespace)), manifests)

    with pytest.raises(Refused) as caught:
        on(full_control_plane.kubeconfig, do)
    assert caught.value.message == (
        f'Quota "team" of namespace "{namespace}" allows requests.cpu 0.8: 0 is used, and 1 more asked.'
    )


def test_a_limit_range_refuses_a_pod(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    limits = {"spec": {"limits": [{"type": "Container", "max": {"memory": "512Mi"}}]}, "metadata": {"name": "small"}}
    assert control_plane.request("POST", f"/api/v1/namespaces/{namespace}/limitranges", limits)[0] == 201
    error = _refusal(control_plane, bundle(), namespace)
    assert "maximum memory usage per Container is 512Mi" in error.message
    assert "LimitRange" in error.next_step


def test_pod_security_refuses_a_pod_before_its_deployment_is_made(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    manifests = rendered(bundle(), namespace)
    deployment = next(one for one in manifests if one["kind"] == "Deployment")
    pod = {**deployment["spec"]["template"]["spec"], "hostNetwork": True}
    bad = _replaced(manifests, "Deployment", template={**deployment["spec"]["template"], "spec": pod})

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place(namespace)), bad)

    with pytest.raises(Refused, match='its Pods would be refused: violates PodSecurity "restricted:latest"'):
        on(control_plane.kubeconfig, do)


def test_a_policy_refuses_in_its_own_words(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace(enforce="restricted")
    _policy(control_plane, namespace)
    give_up = time.monotonic() + 30
    while True:  # a policy is in force a moment after it was made
        try:
            _apply(control_plane, rendered(bundle(), namespace), dry_run=True)
        except ClusterRefused:
            break
        assert time.monotonic() < give_up
        time.sleep(0.1)
    error = _refusal(control_plane, bundle(), namespace)
    assert "every Deployment needs the label cost-centre" in error.message
    assert "who runs the cluster" in error.next_step


def _policy(plane: ControlPlane, namespace: str) -> None:
    group = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    check = "has(object.metadata.labels) && 'cost-centre' in object.metadata.labels"
    validations = [{"expression": check, "message": "every Deployment needs the label cost-centre"}]
    policy = {"matchConstraints": {"resourceRules": [rule]}, "validations": validations}
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": here}
    for plural, spec in (("policies", policy), ("policybindings", binding)):
        document = {"metadata": {"name": namespace}, "spec": spec}
        status, answer = plane.request("POST", f"{group}/validatingadmission{plural}", document)
        assert status == 201, answer


def test_a_webhook_that_does_not_answer(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    _webhook(control_plane, namespace)
    give_up = time.monotonic() + 30
    deployment = next(one for one in rendered(bundle(), namespace) if one["kind"] == "Deployment")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All"
    while control_plane.request("POST", path, deployment)[0] != 500:  # it is in force a moment after it was made
        assert time.monotonic() < give_up
        time.sleep(0.1)
    error = _refusal(control_plane, bundle(), namespace)
    assert isinstance(error, ClusterRefused)
    assert 'failed calling webhook "hook.example.com"' in error.message
    assert "The webhook does not answer" in error.next_step


def _webhook(plane: ControlPlane, namespace: str) -> None:
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    hook = {
        "name": "hook.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    status, answer = plane.request("POST", path, {"metadata": {"name": namespace}, "webhooks": [hook]})
    assert status == 201, answer


def test_what_is_named_and_does_not_exist(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    one = bundle(
        volumes=(
            Volume(name="data", path="/data", claim="theirs"),
            Volume(name="keys", path="/keys", secret="keys"),
            Volume(name="new", path="/new", size="1Gi", storage_class="fast"),
        ),
        placement=Placement(priority_class="urgent"),
    )
    error = _refusal(control_plane, one, namespace)
    assert isinstance(error, NotFound)
    assert error.message.splitlines() == [
        'There is no PriorityClass "urgent", and it is named here.',
        f'There is no PersistentVolumeClaim "theirs" in namespace "{namespace}", and it is named here.',
        f'There is no Secret "keys" in namespace "{namespace}", and it is named here.',
        'There is no StorageClass "fast", and it is named here.',
    ] or set(error.message.splitlines()) >= {'There is no StorageClass "fast", and it is named here.'}


def test_gpus_that_no_node_has(own_control_plane: ControlPlane) -> None:
    node = {"metadata": {"name": "one", "labels": {"nvidia.com/gpu.product": "T4"}}}
    assert own_control_plane.request("POST", "/api/v1/nodes", node)[0] == 201
    for allocatable, asked, said in (
        ({"cpu": "4"}, Resources(gpu=1), "asks for 1 nvidia.com/gpu, and no node of 1 has one"),
        (
            {"nvidia.com/gpu": "2"},
            Resources(gpu=4),
            "asks for 4 nvidia.com/gpu in one Pod, and no node has more than 2",
        ),
    ):
        _set_allocatable(own_control_plane, allocatable)
        # A node that is not ready yet is a node, too: what it has is what counts.
        error = _refusal(own_control_plane, bundle(resources=asked), own_control_plane.namespace())
        assert said in error.message
    wanted = bundle(resources=Resources(gpu=1), placement=Placement(gpu_model="A100"))
    error = _refusal(own_control_plane, wanted, own_control_plane.namespace())
    assert "There are nvidia.com/gpu.product=T4" in error.next_step or "A100" in error.message


def _set_allocatable(plane: ControlPlane, allocatable: dict[str, str]) -> None:
    for _ in range(50):  # the controller manager, where it runs, writes to the node, too
        node = plane.request("GET", "/api/v1/nodes/one")[1]
        node["status"]["allocatable"] = node["status"]["capacity"] = allocatable
        if plane.request("PUT", "/api/v1/nodes/one/status", node)[0] == 200:
            return
    raise AssertionError("the node's status could not be written")


def test_rights_that_are_missing_are_named_before_anything_is_written(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    kubeconfig = control_plane.user("nobody-much")
    control_plane.kubectl("create", "rolebinding", "look", "-n", namespace, "--clusterrole=view", "--user=nobody-much")
    manifests = [one for one in rendered(bundle(), namespace) if one["kind"] in ("Deployment", "Service")]

    async def do(api: Counted) -> None:
        await preflight(api, Applier(api, place(namespace)), manifests)

    with pytest.raises(ClusterRefused) as caught:
        on(kubeconfig, do)
    # The binding may come into force a moment later: then the rights to read are missing, too.
    lacking = r"create, delete, (get, list, )?patch"
    assert re.search(
        rf'in namespace "{namespace}": {lacking} services; {lacking} deployments.apps', caught.value.message
    )
    assert "--print-rbac" in caught.value.next_step


def test_an_api_server_that_is_killed_during_an_apply(own_control_plane: ControlPlane) -> None:
    """50 objects; whatever was under way is asked for again: nothing is doubled, all is there."""
    plane = own_control_plane
    namespace = plane.namespace()
    manifests = [one for number in range(7) for one in rendered(bundle(f"digits-{number}"), namespace)]
    manifests += [_claim(namespace, "1Gi")]
    assert len(manifests) == 50
    under_way = threading.Event()

    class Watched(Counted):
        async def apply(self, manifest: Manifest, **how: Any) -> Manifest:
            made = await super().apply(manifest, **how)
            if self.writes >= 20:
                under_way.set()
            return made

    async def until_applied() -> None:
        async with Watched.connect(read("", str(plane.kubeconfig), {})) as api:
            while True:
                with suppress(ClusterUnreachable):
                    await Applier(api, place(namespace)).apply(manifests)
                    return

    # The API server is started by this thread, and the kernel ends it with the thread that did.
    with ThreadPoolExecutor(1) as pool:
        applying = pool.submit(lambda: asyncio.run(until_applied()))
        assert under_way.wait(30)
        plane.kill()
        plane.restart()
        applying.result(60)
    done, writes = _apply(plane, manifests)
    assert {one.result for one in done} == {"unchanged"} and writes == 0
    names = plane.kubectl("get", "deploy,svc,sa,cm,netpol,pdb,secret,pvc", "-n", namespace, "-o", "name").split()
    names = [one for one in names if "/digits" in one]  # and what the controllers make in every namespace
    assert len(names) == len(set(names)) == 50
    deployments = [one for one in names if one.startswith("deployment")]
    assert len(deployments) == 7
    for one in range(7):
        assert _live(plane, namespace, name=f"digits-{one}")["metadata"]["generation"] == 1
