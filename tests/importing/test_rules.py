"""What is carried over, what is told, and what is refused, case by case."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shipway.errors import InvalidObject
from shipway.importing import Imported, convert, read

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
}


def pod(spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """The Pod with more in its spec and in its container."""
    containers = [{**POD["spec"]["containers"][0], **container}]
    return {**POD, "spec": {"containers": containers, **(spec or {})}}


def service(name: str = "web", ports: list[Any] | None = None, **spec: Any) -> dict[str, Any]:
    found = {"selector": {"app": "web"}, "ports": ports or [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": found}


def make(*manifests: dict[str, Any]) -> Imported:
    return convert(read(yaml.safe_dump_all(manifests), "x.yaml"))


def spec_of(*manifests: dict[str, Any]) -> dict[str, Any]:
    [made] = make(*manifests).objects
    found: dict[str, Any] = made["spec"]
    return found


def losses(*manifests: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.object, one.path) for one in make(*manifests).losses]


def test_a_field_that_nobody_knows_is_told_with_its_place() -> None:
    [loss] = make(pod({"runtimeClassName": "gvisor"})).losses
    assert (loss.object, loss.path, loss.file) == ("Pod/web", "spec.runtimeClassName", "x.yaml")
    assert loss.line
    assert "no such field" in loss.why
    assert "patch" in loss.next_step


def test_what_kubernetes_or_shipway_does_anyhow_is_not_told() -> None:
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    quiet = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "securityContext": security}
    assert losses(pod(quiet, imagePullPolicy="Always", terminationMessagePath="/dev/termination-log")) == []


@pytest.mark.parametrize(
    "command, args, made",
    [
        (None, None, {}),
        (None, ["-v"], {"args": ["-v"]}),
        (["run"], None, {"command": ["run"]}),
        (["run"], ["-v"], {"command": ["run", "-v"]}),
    ],
)
def test_command_and_args_mean_what_they_mean_to_kubernetes(command: Any, args: Any, made: dict[str, Any]) -> None:
    found = spec_of(pod(command=command, args=args))
    assert {name: found[name] for name in ("command", "args") if name in found} == made


def test_the_port_is_written_as_the_variable_that_says_it() -> None:
    found = spec_of(pod(command=["serve", "--port=80", "--bind", "0.0.0.0:80", "--host", "0.0.0.0", "8080"]))
    assert found["command"] == ["serve", "--port=$(PORT)", "--bind", "0.0.0.0:$(PORT)", "--host", "$(HOST)", "8080"]


def test_a_variable_port_of_the_same_value_is_shipways_own() -> None:
    assert "env" not in spec_of(pod(env=[{"name": "PORT", "value": "80"}]))


def test_the_port_is_that_which_the_service_sends_to() -> None:
    ports = [{"name": "metrics", "containerPort": 9090}, {"name": "http", "containerPort": 8080}]
    found = spec_of(pod(ports=ports), service(ports=[{"port": 80, "targetPort": "http"}]))
    assert (found["port"], found.get("expose")) == (8080, None)


def test_a_service_of_another_port_keeps_it() -> None:
    assert spec_of(pod(), service(ports=[{"port": 6379, "targetPort": 80}]))["expose"] == {"port": 6379}


def test_what_serves_nothing_is_told() -> None:
    [loss] = make(pod(ports=None)).losses
    assert "says no port" in loss.why


def test_a_service_of_another_name_is_told_to_its_clients() -> None:
    [loss] = make(pod(), service("front")).losses
    assert loss.object == "Service/front"
    assert "clients in the cluster ask web in place of front" in loss.next_step


def test_a_second_container_is_told() -> None:
    two = pod()
    two["spec"]["containers"].append({"name": "log", "image": "fluentd"})
    assert losses(two) == [("Pod/web", "spec.containers[1]")]


def test_limits_count_and_other_requests_are_told() -> None:
    made = pod(resources={"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": 1, "example.com/fpga": 2}})
    assert spec_of(made)["resources"] == {"cpu": "1", "memory": "1Gi", "extended": {"example.com/fpga": 2}}
    assert losses(made) == [("Pod/web", "spec.containers[0].resources.requests.cpu")]


def test_what_our_kinds_refuse_is_told_and_the_rest_stays() -> None:
    found = make(pod(resources={"limits": {"memory": "1e9"}}))
    assert "resources" not in found.objects[0]["spec"]
    [loss] = found.losses
    assert "'1e9' is not a memory quantity" in loss.why


def test_names_are_made_valid_and_given_once() -> None:
    one = {**POD, "metadata": {"name": "My.Web"}}
    two = {**POD, "kind": "ReplicaSet", "metadata": {"name": "my-web"}, "spec": {"template": {"spec": POD["spec"]}}}
    assert [made["metadata"]["name"] for made in make(one, two).objects] == ["my-web", "my-web-2"]


def test_a_claim_that_two_mount_stays_a_claim() -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
    volume = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    mount = [{"name": "data", "mountPath": "/data"}]
    other = {**pod(volume, volumeMounts=mount), "metadata": {"name": "other"}}
    found = make(claim, pod(volume, volumeMounts=mount), other)
    assert [one["spec"]["volumes"] for one in found.objects] == [
        [{"name": "data", "path": "/data", "claim": "data"}]
    ] * 2
    assert [one.object for one in found.losses] == ["PersistentVolumeClaim/data"]


def test_a_config_map_that_no_file_has_is_named() -> None:
    volume = {"volumes": [{"name": "etc", "configMap": {"name": "elsewhere"}}]}
    found = spec_of(pod(volume, volumeMounts=[{"name": "etc", "mountPath": "/etc/web", "readOnly": True}]))
    assert found["volumes"] == [{"name": "etc", "path": "/etc/web", "configMap": "elsewhere", "readOnly": True}]


@pytest.mark.parametrize(
    "kind, why",
    [
        ("DaemonSet", "not one on each node"),
        ("ServiceAccount", "an account of their own"),
        ("Namespace", "the namespace is the cluster's"),
        ("ClusterRole", "none of the kinds that are understood"),
    ],
)
def test_other_kinds_are_told_as_a_whole(kind: str, why: str) -> None:
    other = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "other"}}
    [loss] = make(POD, other).losses
    assert loss.object == f"{kind}/other"
    assert why in loss.why


def test_jobs_that_share_a_queue_are_pieces_and_told() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "w", "image": "worker"}]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "w"},
        "spec": {"parallelism": 3, "template": template},
    }
    assert (spec_of(job)["mode"], spec_of(job)["replicas"]) == ("indexed", 3)
    assert losses(job) == [("Job/w", "spec.parallelism")]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "x.yaml: holds no object: it is empty"),
        ("[1]", "x.yaml:1: must be a Kubernetes object: apiVersion, kind, metadata, spec"),
        ("a: [", "this is not YAML"),
        ("kind: Pod", "x.yaml:1: apiVersion: is missing: this is no Kubernetes object"),
        ("{apiVersion: v1, kind: Pod, metadata: {}}", "x.yaml:1: metadata.name: is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a}}", "containers: is missing"),
        ("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: 1}}", "spec.containers: must be a list"),
        ("{apiVersion: shipway.dev/v1alpha1, kind: Model, metadata: {name: a}}", "is one of Shipway's kinds already"),
        (
            "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {k: '%%%secret%%%'}}",
            "x.yaml:1: data.k: is not base64",
        ),
    ],
)
def test_bad_input_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidObject) as caught:
        convert(read(text, "x.yaml"))
    assert message in str(caught.value)
    assert "%%%secret" not in str(caught.value)


def test_the_same_object_twice_is_refused() -> None:
    with pytest.raises(InvalidObject, match=r"Pod/web is given twice: first in x.yaml:1"):
        make(POD, POD)
