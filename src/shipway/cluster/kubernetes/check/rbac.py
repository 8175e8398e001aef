"""The rights that a hub needs in its namespace, and no more. Pure.

``tests/kubernetes/test_rbac.py`` holds both: with these rights all of our code works against a real API server, and
without any one of them something of it fails.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.cluster.kubernetes.api.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    GATEWAYS,
    HORIZONTAL_POD_AUTOSCALERS,
    HTTP_ROUTES,
    INGRESSES,
    JOBS,
    LEASES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
    STORAGE_CLASSES,
    Resource,
)
from shipway.cluster.kubernetes.apply.lease import LEASE
from shipway.cluster.kubernetes.check.rights import Right
from shipway.cluster.kubernetes.names import MANAGED_BY, Manifest
from shipway.errors import UserError

ROLE = "shipway"
NOTE = "shipway.dev/note"

_WRITE = ("create", "delete", "get", "list", "patch")


@dataclass(frozen=True, slots=True)
class Grant:
    """Verbs on some resources, as one rule; ``names``: only these objects. ``why`` is for people."""

    why: str
    resources: tuple[Resource, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    subresource: str = ""

    def rule(self) -> dict[str, Any]:
        """As a Role has it. All resources of a grant are of one group."""
        rule: dict[str, Any] = {
            "apiGroups": [self.resources[0].group],
            "resources": [self._plural(one) for one in self.resources],
            "verbs": list(self.verbs),
        }
        return {**rule, "resourceNames": list(self.names)} if self.names else rule

    def rights(self) -> tuple[Right, ...]:
        names = self.names or ("",)
        return tuple(
            Right(one.group, self._plural(one), verb, name)
            for one in self.resources
            for verb in self.verbs
            for name in names
        )

    def _plural(self, resource: Resource) -> str:
        return f"{resource.plural}/{self.subresource}" if self.subresource else resource.plural


GRANTS = (
    Grant("what a workload is made of", (CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS), _WRITE),
    Grant("how a service is reached", (SERVICES,), (*_WRITE, "watch")),
    Grant("volumes: never deleted by Shipway", (PERSISTENT_VOLUME_CLAIMS,), ("create", "get", "list", "patch")),
    Grant("services and jobs", (DEPLOYMENTS, STATEFUL_SETS), (*_WRITE, "watch")),
    Grant("services and jobs", (CRON_JOBS, JOBS), (*_WRITE, "watch")),
    Grant("autoscaling", (HORIZONTAL_POD_AUTOSCALERS,), (*_WRITE, "watch")),
    Grant("budgets for disruption", (POD_DISRUPTION_BUDGETS,), _WRITE),
    Grant("who may connect to whom", (NETWORK_POLICIES,), _WRITE),
    Grant("how a service is reached from outside", (INGRESSES,), (*_WRITE, "watch")),
    Grant("how a service is reached from outside", (HTTP_ROUTES,), (*_WRITE, "watch")),
    Grant("whether a Gateway that is named is there", (GATEWAYS,), ("get",)),
    Grant("states and reasons; create is for dry runs alone", (PODS,), ("create", "list", "watch")),
    Grant("logs", (PODS,), ("get",), subresource="log"),
    # Asked for as "get" by HTTP, and from 1.35 as "create" too: it opens a connection into the Pod.
    Grant("predict and port-forward", (PODS,), ("create", "get"), subresource="portforward"),
    Grant("reasons", (EVENTS,), ("list", "watch")),
    Grant("whether the quota has room", (RESOURCE_QUOTAS,), ("list",)),
    Grant("which hub owns the namespace", (LEASES,), ("create",)),
    Grant("which hub owns the namespace", (LEASES,), ("get", "patch"), names=(LEASE,)),
)
CLUSTER_GRANTS = (
    Grant("GPUs and runtimes of the nodes", (NODES,), ("list",)),
    Grant("whether a class that is named is there", (PRIORITY_CLASSES,), ("get",)),
    Grant("whether there is a default class for volumes", (STORAGE_CLASSES,), ("get", "list")),
)


def manifests(namespace: str, subject: str) -> tuple[Manifest, ...]:
    """The Role, and a ClusterRole for reading nodes and classes, which one may leave out; with bindings to ``subject``
    (``User:ada``, ``Group:ml``, ``ServiceAccount:NAMESPACE/NAME``), or without any when it is empty.

    Raises UserError for a subject that is none.
    """
    named = f"{ROLE}-{namespace}"  # of what is not in the namespace
    role = _role(ROLE, namespace, (*GRANTS, _own_namespace(namespace)))
    cluster = _role(named, "", CLUSTER_GRANTS)
    if not subject:
        return role, cluster
    who = _subject(subject)
    return role, _binding(ROLE, namespace, who), cluster, _binding(named, "", who)


def rights(namespace: str) -> tuple[Right, ...]:
    """All rights of the Role."""
    return tuple(right for grant in (*GRANTS, _own_namespace(namespace)) for right in grant.rights())


def _own_namespace(namespace: str) -> Grant:
    return Grant("Pod Security of the namespace", (NAMESPACES,), ("get",), names=(namespace,))


def _role(name: str, namespace: str, grants: Iterable[Grant]) -> Manifest:
    resource = ROLES if namespace else CLUSTER_ROLES
    metadata = _metadata(name, namespace)
    return {**_head(resource), "metadata": metadata, "rules": [one.rule() for one in grants]}


def _binding(name: str, namespace: str, subject: Mapping[str, str]) -> Manifest:
    resource, role = (ROLE_BINDINGS, ROLES) if namespace else (CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES)
    return {
        **_head(resource),
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": role.group, "kind": role.kind, "name": name},
        "subjects": [dict(subject)],
    }


def _head(resource: Resource) -> dict[str, str]:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": {MANAGED_BY: "shipway"}}
    if namespace:
        return {**metadata, "namespace": namespace}
    note = "optional: without it, GPUs, runtimes of nodes and classes are not known before Pods ask for them"
    return {**metadata, "annotations": {NOTE: note}}


def _subject(text: str) -> dict[str, str]:
    kind, _, name = text.partition(":")
    if kind in ("User", "Group") and name:
        return {"apiGroup": ROLES.group, "kind": kind, "name": name}
    namespace, _, account = name.partition("/")
    if kind == "ServiceAccount" and namespace and account:
        return {"kind": kind, "namespace": namespace, "name": account}
    raise UserError(
        f"{text!r} is no subject of a RoleBinding: User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME",
        next_step="kubectl auth whoami shows who you are.",
    )
