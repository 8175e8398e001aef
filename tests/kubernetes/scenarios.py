"""The conversations that are recorded: what Shipway asks an API server, and what it must understand of the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kubernetes.conversation import Step

Body = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
NS = "/api/v1/namespaces/{ns}"
APPS = "/apis/apps/v1/namespaces/{ns}/deployments"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One conversation. ``enforce``: the namespace's Pod Security level. ``rules``: of who asks (None: all)."""

    steps: Sequence[Step]
    enforce: str = ""
    rules: Sequence[Mapping[str, Any]] | None = None
    forgotten: bool = False  # the server was restarted: it knows of no change before
    user: str = field(default="recorded-user")


def step(method: str, path: str, body: Body | None = None, **more: Any) -> Step:
    """One request."""
    return {"method": method, "path": path, **({"body": body} if body is not None else {}), **more}


def apply(path: str, body: Body, manager: str = "shipway", query: str = "", **more: Any) -> Step:
    """Server-side apply."""
    return step("PATCH", f"{path}?fieldManager={manager}{query}", body, type=APPLY, **more)


def config_map(name: str, **data: str) -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **security: Any) -> Body:
    container: Body = {"name": "main", "image": "example.com/digits:1"}
    if security:
        container["securityContext"] = security
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def deployment(name: str, *, containers: Sequence[Body] = (), replicas: int | None = None, **spec: Any) -> Body:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": list(containers) or [{"name": "main", "image": "example.com/digits:1"}]},
    }
    whole = {"selector": {"matchLabels": labels}, "template": template, **spec}
    if replicas is not None:
        whole["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


def main(**more: Any) -> Body:
    return {"name": "main", "image": "example.com/digits:1", **more}


MAPS = f"{NS}/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
ONE = f"{MAPS}/one"
WEB = f"{APPS}/web"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}

CRUD = Scenario(
    [
        step("POST", f"{MAPS}?fieldManager=test", config_map("one", a="1")),
        step("GET", ONE),
        step("POST", MAPS, config_map("one")),
        step("GET", f"{MAPS}/two"),
        step("PUT", f"{ONE}?fieldManager=test", config_map("one", a="2"), save={"version": "metadata.resourceVersion"}),
        step("PUT", f"{ONE}?fieldManager=test", config_map("one", a="2")),
        step("PATCH", f"{ONE}?fieldManager=test", {"data": {"b": "3"}}, type=MERGE),
        step(
            "PUT",
            f"{ONE}?fieldManager=test",
            {**config_map("one", a="9"), "metadata": {"name": "one", "resourceVersion": "{version}"}},
        ),
        step("POST", "/api/v1/namespaces/no-such-namespace/configmaps", config_map("one")),
        step("GET", "/api/v1/namespaces/no-such-namespace/configmaps"),
        step("POST", f"{MAPS}?dryRun=All&fieldManager=test", config_map("dry")),
        step("GET", f"{MAPS}/dry"),
        step("GET", "/api/v1/nothings"),
        step("GET", "/apis/nothing.example.com/v1/things"),
        step("PATCH", ONE, {}, type="application/x-nothing"),
        step("DELETE", ONE),
        step("DELETE", ONE),
    ]
)
LISTS = Scenario(
    [
        *(
            step("POST", MAPS, {**config_map(name), "metadata": {"name": name, "labels": {"app": app, "odd": odd}}})
            for name, app, odd in (("a", "x", "yes"), ("b", "x", "no"), ("c", "y", "yes"), ("d", "z", "no"))
        ),
        step("GET", f"{MAPS}?limit=3", save={"token": "metadata.continue"}),
        step("GET", f"{MAPS}?limit=3&continue={{token}}"),
        step("GET", f"{MAPS}?labelSelector=app%3Dx"),
        step("GET", f"{MAPS}?labelSelector=app+in+(x,y),odd!%3Dno"),
        step("GET", f"{MAPS}?labelSelector=!none,app+notin+(x)"),
        step("GET", f"{MAPS}?labelSelector=app%3Dx&limit=1"),
        step("GET", f"{MAPS}?fieldSelector=metadata.name%3Dc"),
        step("GET", f"{MAPS}?fieldSelector=data.a%3Dc"),
        step("GET", f"{MAPS}?resourceVersion=0&labelSelector=app%3Dz"),
        step("DELETE", f"{MAPS}?labelSelector=app%3Dx"),
        step("GET", f"{MAPS}?labelSelector=app"),
    ]
)
WATCHES = Scenario(
    [
        step(
            "POST",
            f"{MAPS}?fieldManager=test",
            {**config_map("seen", a="1"), "metadata": {"name": "seen", "labels": {"app": "x"}}},
            save={"version": "metadata.resourceVersion"},
        ),
        step("GET", f"{MAPS}?watch=1&resourceVersion=0&labelSelector=app%3Dx", events=1),
        step(
            "GET",
            f"{MAPS}?watch=1&resourceVersion={{version}}&labelSelector=app%3Dx",
            events=3,
            during=[
                step("PATCH", f"{MAPS}/seen?fieldManager=test", {"data": {"a": "2"}}, type=MERGE),
                step("PATCH", f"{MAPS}/seen?fieldManager=test", {"metadata": {"labels": {"app": "y"}}}, type=MERGE),
                step("PATCH", f"{MAPS}/seen?fieldManager=test", {"metadata": {"labels": {"app": "x"}}}, type=MERGE),
            ],
        ),
        step(
            "GET",
            f"{MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            "&fieldSelector=metadata.name%3Dseen",
            events=3,
            during=[step("DELETE", f"{MAPS}/seen")],
        ),
        step("GET", f"{MAPS}?watch=1&sendInitialEvents=true", events=1),
        step("GET", f"{MAPS}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion={{version}}", events=5),
    ]
)
APPLIES = Scenario(
    [
        apply(WEB, deployment("web", replicas=2), save={"version": "metadata.resourceVersion"}),
        apply(WEB, deployment("web", replicas=2)),
        apply(WEB, deployment("web", replicas=3)),
        apply(WEB, deployment("web", replicas=4), query="&dryRun=All"),
        step("GET", WEB),
        apply(WEB, deployment("web")),
        step("PATCH", WEB, deployment("web"), type=APPLY),
        apply(WEB, {**deployment("web"), "metadata": {"name": "other"}}),
        apply(WEB, {**deployment("web"), "spec": {**deployment("web")["spec"], "nothing": 1}}),
        apply(WEB, {**deployment("web"), "metadata": {"name": "web", "resourceVersion": "{version}"}}),
        apply("/apis/apps/v1/namespaces/no-such-namespace/deployments/web", deployment("web")),
    ]
)
CONFLICTS = Scenario(
    [
        apply(WEB, deployment("web", replicas=2)),
        step("PATCH", f"{WEB}?fieldManager=kubectl-scale", {"spec": {"replicas": 5}}, type=MERGE),
        apply(WEB, deployment("web", replicas=2)),
        apply(WEB, deployment("web", replicas=5)),
        apply(WEB, deployment("web", replicas=2), query="&force=true"),
        apply(WEB, deployment("web", replicas=7, containers=[main(image="example.com/other:1")]), manager="argocd"),
        apply(
            WEB,
            deployment("web", replicas=7, containers=[main(image="example.com/other:1")]),
            manager="argocd",
            query="&force=true",
        ),
        apply(WEB, deployment("web", replicas=2)),
        apply(WEB, {**deployment("web"), "spec": {"selector": {"matchLabels": {"app": "web"}}}}),
        step("PATCH", f"{WEB}/scale?fieldManager=hpa", {"spec": {"replicas": 9}}, type=MERGE),
        apply(WEB, deployment("web", replicas=2)),
    ]
)
_ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
_PORTS = [{"containerPort": 80}, {"containerPort": 81, "name": "grpc"}]
_SIDE = {"name": "side", "image": "example.com/side:1"}
MERGES = Scenario(
    [
        apply(WEB, deployment("web", containers=[main(env=_ENV, ports=_PORTS, args=["a", "b"])])),
        apply(WEB, deployment("web", containers=[_SIDE]), manager="injector"),
        apply(WEB, deployment("web", containers=[main(env=_ENV[1:], ports=_PORTS[:1], args=["c"])])),
        apply(
            WEB,
            deployment("web", containers=[main(env=[{"name": "C", "value": "3"}])]),
            manager="other",
        ),
        apply(WEB, deployment("web", containers=[main(env=[_ENV[1], _ENV[0]])])),
        apply(WEB, {**deployment("web"), "metadata": {"name": "web", "labels": {"a": "1"}, "finalizers": ["x.io/a"]}}),
        apply(WEB, deployment("web")),
        apply(WEB, {**deployment("web"), "spec": {"selector": {"matchLabels": {"app": "web"}}}}, manager="injector"),
    ]
)
INVALID = Scenario(
    [
        step("POST", MAPS, config_map("Not_A_Name")),
        step("POST", MAPS, {**config_map("x"), "metadata": {"name": "x", "labels": {"a": "b c"}}}),
        step("POST", MAPS, {**config_map("x"), "metadata": {"name": "x", "labels": {"a": "b" * 64}}}),
        step("POST", MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
        step("POST", MAPS, {**config_map("x"), "metadata": {"name": "x", "namespace": "other"}}),
        step("POST", f"{MAPS}?fieldValidation=Strict", {**config_map("x"), "nothing": 1}),
        step("POST", f"{MAPS}?fieldManager=test", {**config_map("x"), "nothing": 1}),
        step("POST", APPS, deployment("bad", containers=[{"name": "main"}])),
        step("POST", APPS, deployment("bad", selector={"matchLabels": {"app": "other"}})),
        apply(WEB, deployment("web", containers=[{"name": "main"}])),
        apply(WEB, deployment("web")),
        apply(WEB, deployment("web", selector={"matchLabels": {"app": "other"}})),
        step("PATCH", f"{NS}/pods/nobody", {}, type=MERGE),
    ]
)
DELETES = Scenario(
    [
        step("POST", f"{MAPS}?fieldManager=test", config_map("one"), save={"uid": "metadata.uid"}),
        step("DELETE", ONE, {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}),
        step("DELETE", f"{ONE}?dryRun=All"),
        step("DELETE", ONE, {"preconditions": {"uid": "{uid}"}}),
        step(
            "POST",
            f"{MAPS}?fieldManager=test",
            {**config_map("held"), "metadata": {"name": "held", "finalizers": ["x.io/a"]}},
        ),
        step("DELETE", f"{MAPS}/held"),
        step("DELETE", f"{MAPS}/held"),
        step("PATCH", f"{MAPS}/held?fieldManager=test", {"metadata": {"finalizers": None}}, type=MERGE),
        step("GET", f"{MAPS}/held"),
        step("POST", f"{APPS}?fieldManager=test", deployment("web")),
        step("DELETE", f"{WEB}?propagationPolicy=Foreground"),
        step("PATCH", f"{WEB}?fieldManager=test", {"metadata": {"finalizers": None}}, type=MERGE),
        step("POST", f"{APPS}?fieldManager=test", deployment("web")),
        step("DELETE", WEB, {"propagationPolicy": "Background"}),
        step("POST", f"{NS}/pods?fieldManager=test", pod("alone")),
        step("DELETE", f"{NS}/pods/alone"),
        step("GET", f"{NS}/pods/alone"),
    ]
)
STATUSES = Scenario(
    [
        step("POST", f"{APPS}?fieldManager=test", {**deployment("web"), "status": {"replicas": 5}}),
        step("PATCH", f"{WEB}/status?fieldManager=ctl", {"status": {"replicas": 1, "readyReplicas": 1}}, type=MERGE),
        step("PATCH", f"{WEB}/status?fieldManager=ctl", {"spec": {"replicas": 8}}, type=MERGE),
        step("PATCH", f"{WEB}?fieldManager=test", {"status": {"replicas": 7}}, type=MERGE),
        step("GET", f"{WEB}/scale"),
        step("PATCH", f"{WEB}/scale?fieldManager=me", {"spec": {"replicas": 3}}, type=MERGE),
        step("GET", WEB),
        step("GET", f"{WEB}/nothing"),
    ]
)
_QUOTA = {"hard": {"pods": "1", "count/deployments.apps": "1"}, "used": {"pods": "1", "count/deployments.apps": "1"}}
QUOTAS = Scenario(
    [
        step(
            "POST",
            f"{NS}/resourcequotas?fieldManager=test",
            {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": _QUOTA["hard"]}},
        ),
        step("PATCH", f"{NS}/resourcequotas/q/status?fieldManager=test", {"status": _QUOTA}, type=MERGE),
        step("POST", f"{NS}/pods?dryRun=All", pod("over"), until=403),
        step("POST", f"{APPS}?dryRun=All", deployment("over")),
        step("POST", f"{MAPS}?fieldManager=test", config_map("free")),
    ]
)
POD_SECURITY = Scenario(
    [
        step("POST", f"{NS}/pods", pod("loose")),
        step("POST", f"{APPS}?fieldManager=test", deployment("loose")),
        step("POST", f"{NS}/pods?fieldManager=test", pod("tight", **RESTRICTED)),
    ],
    enforce="restricted",
)
REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
SSAR = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def review(verb: str, resource: str, group: str = "", **more: str) -> Step:
    attributes = {"namespace": "{ns}", "verb": verb, "resource": resource, "group": group, **more}
    return step("POST", SSAR, {**REVIEW, "spec": {"resourceAttributes": attributes}})


RIGHTS = Scenario(
    [
        step("GET", f"{NS}/pods"),
        step("GET", f"{NS}/secrets"),
        step("GET", f"{NS}/secrets/one"),
        step("GET", "/api/v1/nodes"),
        step("GET", f"{NS}/pods/one/log"),
        apply(WEB, deployment("web")),
        review("list", "pods"),
        review("get", "pods", subresource="log"),
        review("patch", "deployments", "apps"),
        step(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": "{ns}"}},
        ),
    ],
    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}],
)


def lease(holder: str, version: str = "") -> Body:
    metadata = {"name": "shipway-owner"}
    if version:
        metadata["resourceVersion"] = version
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 30}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


OWNER = f"{LEASES}/shipway-owner"
LEASE_RACE = Scenario(
    [
        step("GET", OWNER),
        step("POST", f"{LEASES}?fieldManager=test", lease("first"), save={"version": "metadata.resourceVersion"}),
        step("POST", f"{LEASES}?fieldManager=test", lease("second")),
        step("PUT", f"{OWNER}?fieldManager=test", lease("second", "{version}")),
        step("PUT", f"{OWNER}?fieldManager=test", lease("first", "{version}")),
        step("GET", OWNER),
    ]
)
_JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "train"},
    "spec": {
        "completions": 2,
        "parallelism": 2,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never", "containers": [main()]}},
    },
}
_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
_HPA = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "web"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": 3,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    },
}
_PDB = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "web"},
    "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}},
}
_POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "web"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]},
}
_ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "web"},
    "automountServiceAccountToken": False,
}
_SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-env"}, "stringData": {"TOKEN": "s"}}
_SET = {**deployment("db"), "kind": "StatefulSet"}
_SET["spec"] = {**_SET["spec"], "serviceName": "db"}
_CRON = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "nightly"},
    "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": _JOB["spec"]["template"]}}},  # type: ignore[index]
}
_CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
_INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web"},
    "spec": {
        "rules": [
            {
                "host": "web.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "web", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ]
    },
}
_PROBE = {"httpGet": {"path": "/readyz", "port": 8080}}
_IMAGE_VOLUME = {"name": "model", "image": {"reference": "example.com/model@sha256:" + "0" * 64}}
_RICH = deployment("web", containers=[main(readinessProbe=_PROBE, resources={"limits": {"cpu": "1"}})])
_RICH["spec"]["template"]["spec"]["volumes"] = [
    _IMAGE_VOLUME,
    {"name": "tmp", "emptyDir": {}},
    {"name": "none"},
    {"name": "conf", "configMap": {"name": "web"}},
]
BATCH = "/apis/batch/v1/namespaces/{ns}"
NETWORK = "/apis/networking.k8s.io/v1/namespaces/{ns}"
KINDS = Scenario(
    [
        one
        for path, body in (
            (WEB, _RICH),
            (f"{NS}/services/web", _SERVICE),
            ("/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers/web", _HPA),
            ("/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/web", _PDB),
            (f"{NETWORK}/networkpolicies/web", _POLICY),
            (f"{NETWORK}/ingresses/web", _INGRESS),
            (f"{NS}/serviceaccounts/web", _ACCOUNT),
            (f"{NS}/secrets/web-env", _SECRET),
            ("/apis/apps/v1/namespaces/{ns}/statefulsets/db", _SET),
            (f"{BATCH}/jobs/train", _JOB),
            (f"{BATCH}/cronjobs/nightly", _CRON),
            (f"{NS}/persistentvolumeclaims/data", _CLAIM),
            (f"{LEASES}/shipway-owner", lease("first")),
        )
        for one in (apply(path, body), apply(path, body))
    ]
)

EXPIRED = Scenario([step("GET", f"{MAPS}?watch=1&resourceVersion=1", events=1)], forgotten=True)

SCENARIOS = {
    "expired": EXPIRED,
    "crud": CRUD,
    "lists": LISTS,
    "watches": WATCHES,
    "applies": APPLIES,
    "conflicts": CONFLICTS,
    "merges": MERGES,
    "invalid": INVALID,
    "deletes": DELETES,
    "statuses": STATUSES,
    "quotas": QUOTAS,
    "pod-security": POD_SECURITY,
    "rights": RIGHTS,
    "lease-race": LEASE_RACE,
    "kinds": KINDS,
}
