"""What an API server adds to an object that does not say it: the values of Kubernetes' own defaults. In place."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from shipway.testing.kubernetes.schema import Schema, Shape

Value = dict[str, Any]

_FIELDS: dict[str, Value] = {
    "core.v1.PodSpec": {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {},
    },
    "core.v1.PodTemplateSpec": {"metadata": {}},
    "core.v1.Container": {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "resources": {},
    },
    "core.v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.ConfigMapVolumeSource": {"defaultMode": 420},
    "core.v1.SecretVolumeSource": {"defaultMode": 420},
    "core.v1.ProjectedVolumeSource": {"defaultMode": 420},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"},
    "apps.v1.DeploymentSpec": {
        "replicas": 1,
        "strategy": {},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    },
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.RollingUpdateDeployment": {"maxUnavailable": "25%", "maxSurge": "25%"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.StatefulSetSpec": {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {},
        "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    },
    "apps.v1.StatefulSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.RollingUpdateStatefulSetStrategy": {"partition": 0},
    "batch.v1.JobTemplateSpec": {"metadata": {}},
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "networking.v1.NetworkPolicyPort": {"protocol": "TCP"},
}


def _container(value: Value) -> None:
    value.setdefault("imagePullPolicy", _pull_policy(value.get("image", "")))


def _image_volume(value: Value) -> None:
    value.setdefault("pullPolicy", _pull_policy(value.get("reference", "")))


def _volume(value: Value) -> None:
    if value.keys() == {"name"}:
        value["emptyDir"] = {}


def _pull_policy(image: str) -> str:
    tag = image.rpartition("/")[2].partition(":")[2]
    return "IfNotPresent" if "@" in image or tag not in ("", "latest") else "Always"


def _rolling(value: Value) -> None:
    if value["type"] == "RollingUpdate":
        value.setdefault("rollingUpdate", {})


def _service_port(value: Value) -> None:
    value.setdefault("targetPort", value["port"])


def _network_policy(value: Value) -> None:
    value.setdefault("policyTypes", ["Ingress", "Egress"] if value.get("egress") else ["Ingress"])


def _secret(value: Value) -> None:
    plain = value.pop("stringData", None) or {}
    if plain:
        encoded = {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}
        value["data"] = {**value.get("data", {}), **encoded}


_RULES: dict[str, Callable[[Value], None]] = {
    "core.v1.Container": _container,
    "core.v1.ImageVolumeSource": _image_volume,
    "core.v1.Volume": _volume,
    "apps.v1.DeploymentStrategy": _rolling,
    "apps.v1.StatefulSetUpdateStrategy": _rolling,
    "core.v1.ServicePort": _service_port,
    "networking.v1.NetworkPolicySpec": _network_policy,
    "core.v1.Secret": _secret,
}


def fill(schema: Schema, shape: Shape, value: Any) -> None:
    """Add what is missing in a value and in all that it holds; null is nothing said."""
    if isinstance(shape, str) and isinstance(value, dict):
        known = schema.types.get(shape)
        for name in [name for name, one in value.items() if one is None]:
            del value[name]
        if known is None:
            return
        fields = known["fields"]
        for name in [name for name, one in value.items() if one in ({}, []) and isinstance(fields.get(name), dict)]:
            del value[name]  # an empty map or list is nothing said; an empty struct is something
        for name, default in {**known.get("defaults", {}), **_FIELDS.get(shape, {})}.items():
            value.setdefault(name, dict(default) if isinstance(default, dict) else default)
        if shape in _RULES:
            _RULES[shape](value)
        for name, one in value.items():
            if name != "status":
                fill(schema, fields.get(name, "any"), one)
    elif isinstance(shape, dict) and isinstance(value, list):
        inner = shape.get("list") or shape.get("set") or shape.get("items")
        for one in value:
            fill(schema, inner, one)
    elif isinstance(shape, dict) and isinstance(value, dict):
        for one in value.values():
            fill(schema, shape.get("map"), one)
