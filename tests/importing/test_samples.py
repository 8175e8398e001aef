"""Tutorials' YAML becomes our kinds, and renders back to objects that run the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from shipway.importing import written
from shipway.kinds.load import load
from shipway.rendering.lookup import Nowhere
from shipway.rendering.manifests import main_container, rendered
from shipway.rendering.world import Wanted
from tests.importing.samples import FOLDER, NAMES, golden, imported, told

Found = dict[str, Any]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_sample_becomes_is_what_was_read_and_found_right(name: str) -> None:
    assert told(name) == golden(name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_no_value_of_a_secret_is_told(name: str) -> None:
    for value in ("s3cr3t-value", "czNjcjN0LXZhbHVl", "hunter2-value"):
        assert value not in told(name)
        assert value not in repr(imported(name))


def test_values_of_secrets_are_there_for_who_stores_them() -> None:
    assert {(one.name, one.key): one.value for one in imported("wordpress").secrets} == {
        ("mysql-pass", "password"): b"s3cr3t-value"
    }


@pytest.mark.parametrize("name", NAMES)
def test_it_renders_back_to_objects_that_run_the_same(name: str) -> None:
    objects = load(written(imported(name).objects, name))
    made = {(_group(one.kind), one.name): one.manifests for one in rendered(objects, Wanted(), Nowhere())}
    theirs = [one for one in _manifests(name) if one["kind"] in _WORKLOADS]
    assert len(made) == len(theirs)
    for manifest in theirs:
        ours = made[_group(_kind(manifest)), manifest["metadata"].get("name") or "once"]
        [main] = [one for one in map(main_container, ours) if one is not None]
        assert _essence(_container(manifest)) == _essence(main)
        for wanted in ("replicas", "schedule", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "completions"):
            if wanted in manifest.get("spec", {}):
                assert _field(ours, wanted) == manifest["spec"][wanted]


def test_what_stands_beside_a_workload_comes_back() -> None:
    [part] = rendered(load(written(imported("nginx").objects, "")), Wanted(), Nowhere())
    kinds = {one["kind"]: one for one in part.manifests}
    [port] = kinds["Service"]["spec"]["ports"]
    assert (kinds["Service"]["spec"]["type"], port["port"], port["nodePort"]) == ("NodePort", 8080, 30080)
    [rule] = kinds["Ingress"]["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("web.example.com", "/testpath")
    assert kinds["Ingress"]["spec"]["tls"] == [{"hosts": ["web.example.com"], "secretName": "web-tls"}]
    assert kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1  # of 3, where 2 must stay


def test_an_autoscaler_comes_back() -> None:
    [part] = rendered(load(written(imported("php-apache").objects, "")), Wanted(), Nowhere())
    [theirs] = [one for one in _manifests("php-apache") if one["kind"] == "HorizontalPodAutoscaler"]
    [ours] = [one for one in part.manifests if one["kind"] == "HorizontalPodAutoscaler"]
    assert {name: ours["spec"][name] for name in theirs["spec"]} == theirs["spec"]


def test_claims_and_files_come_back() -> None:
    [part] = rendered(load(written(imported("redis-config").objects, "")), Wanted(), Nowhere())
    [texts] = [one["data"] for one in part.manifests if one["kind"] == "ConfigMap"]
    assert texts == {"redis.conf": "maxmemory 2mb\nmaxmemory-policy allkeys-lru\n"}
    [stateful] = rendered(load(written(imported("statefulset").objects, "")), Wanted(), Nowhere())
    [made] = [one for one in stateful.manifests if one["kind"] == "StatefulSet"]
    [claim] = made["spec"]["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "my-storage-class",
        "resources": {"requests": {"storage": "1Gi"}},
    }


_WORKLOADS = ("Deployment", "StatefulSet", "Pod", "Job", "CronJob")


def _manifests(name: str) -> Iterator[Found]:
    for one in yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text()):
        yield from one["items"] if one["kind"] == "List" else [one]


def _kind(manifest: Found) -> str:
    once = manifest["kind"] == "Pod" and manifest["spec"].get("restartPolicy") == "Never"
    return "Job" if once else str(manifest["kind"])


def _group(kind: str) -> str:
    return "job" if kind in ("Job", "CronJob", "job") else "service"


def _pod(manifest: Mapping[str, Any]) -> Found:
    spec: Found = manifest["spec"]
    if manifest["kind"] == "Pod":
        return spec
    found: Found = spec.get("jobTemplate", {}).get("spec", spec)["template"]["spec"]
    return found


def _container(manifest: Mapping[str, Any]) -> Found:
    containers: list[Found] = _pod(manifest)["containers"]
    return next((one for one in containers if "ports" in one), containers[0])


def _essence(container: Found) -> Found:
    """What a container does: image, whole command with its variables, what was given of env, ports, limits, probes."""
    env = {one["name"]: one.get("value") for one in container.get("env", [])}
    command = [*container.get("command", []), *(container.get("args", []) if container.get("command") else [])]
    resources = container.get("resources", {})
    ports = [one["containerPort"] for one in container.get("ports", [])][:1]
    return {
        "image": container["image"],
        "command": [_expanded(one, env) for one in command],
        "args": [] if command else container.get("args", []),
        "env": {name: _expanded(env[name] or "", env) for name in _NAMES & env.keys()},
        "ports": ports,
        "limits": {key: str(one) for key, one in (resources.get("limits") or resources.get("requests") or {}).items()},
        "readiness": _probe(container, "readinessProbe"),
        "startup": _probe(container, "startupProbe"),
    }


_NAMES = {"GET_HOSTS_FROM", "MASTER", "MYSQL_DATABASE", "WORDPRESS_DB_HOST", "PORT_NUMBER"}


def _expanded(text: str, env: Mapping[str, str | None]) -> str:
    for _ in range(2):
        for name, value in env.items():
            text = text.replace(f"$({name})", value or "")
    return text


def _probe(container: Found, name: str) -> str:
    """The path that is asked; the others' defaults are ours."""
    return str(container.get(name, {}).get("httpGet", {}).get("path", ""))


def _field(manifests: tuple[Found, ...], name: str) -> object:
    """A field of whichever of the objects has it; of what is scaled by load the replicas are the autoscaler's least."""
    specs = [one["spec"] for one in manifests if "spec" in one]
    names = (name, "minReplicas") if name == "replicas" else (name,)
    return next(one[wanted] for wanted in names for one in specs if wanted in one)
