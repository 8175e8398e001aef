"""The kinds of the Kubernetes API that we use, and where each is found. Pure.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from shipway.cluster.kubernetes.names import Manifest
from shipway.errors import UserError


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind at one version. ``group`` is empty for the core API; ``plural`` is its word in paths and rights."""

    group: str
    version: str
    plural: str
    namespaced: bool
    kind: str

    @property
    def api_version(self) -> str:
        """As a manifest says it: ``apps/v1``, ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def title(self) -> str:
        """As kubectl and rights name it: ``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path below the server's URL; no ``namespace`` means all of them, no ``name`` the collection."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        parts = [root + place, self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return "/".join(parts)


CONFIG_MAPS = Resource("", "v1", "configmaps", True, "ConfigMap")
EVENTS = Resource("", "v1", "events", True, "Event")
LIMIT_RANGES = Resource("", "v1", "limitranges", True, "LimitRange")
NAMESPACES = Resource("", "v1", "namespaces", False, "Namespace")
NODES = Resource("", "v1", "nodes", False, "Node")
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", True, "PersistentVolumeClaim")
PODS = Resource("", "v1", "pods", True, "Pod")
RESOURCE_QUOTAS = Resource("", "v1", "resourcequotas", True, "ResourceQuota")
SECRETS = Resource("", "v1", "secrets", True, "Secret")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", True, "ServiceAccount")
SERVICES = Resource("", "v1", "services", True, "Service")
DEPLOYMENTS = Resource("apps", "v1", "deployments", True, "Deployment")
REPLICA_SETS = Resource("apps", "v1", "replicasets", True, "ReplicaSet")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", True, "StatefulSet")
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", False, "SelfSubjectAccessReview"
)
SUBJECT_RULES_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectrulesreviews", False, "SelfSubjectRulesReview"
)
SUBJECT_REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", False, "SelfSubjectReview")
HORIZONTAL_POD_AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", True, "HorizontalPodAutoscaler")
CRON_JOBS = Resource("batch", "v1", "cronjobs", True, "CronJob")
JOBS = Resource("batch", "v1", "jobs", True, "Job")
LEASES = Resource("coordination.k8s.io", "v1", "leases", True, "Lease")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", True, "EndpointSlice")
GATEWAYS = Resource("gateway.networking.k8s.io", "v1", "gateways", True, "Gateway")
HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes", True, "HTTPRoute")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", True, "Ingress")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", True, "NetworkPolicy")
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", True, "PodDisruptionBudget")
CLUSTER_ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", False, "ClusterRoleBinding")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", False, "ClusterRole")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", True, "RoleBinding")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", True, "Role")
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", False, "PriorityClass")
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", False, "StorageClass")

RESOURCES: tuple[Resource, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Resource))

_BY_KIND = {(one.api_version, one.kind): one for one in RESOURCES}


def resource_of(manifest: Manifest) -> Resource:
    """The resource that a manifest is of. Raises UserError for a kind that we do not know."""
    wanted = (str(manifest.get("apiVersion", "")), str(manifest.get("kind", "")))
    if found := _BY_KIND.get(wanted):
        return found
    known = ", ".join(sorted(f"{kind} ({version})" for version, kind in _BY_KIND))
    raise UserError(
        f"apiVersion {wanted[0]!r}, kind {wanted[1]!r}: Shipway does not know it", next_step=f"Known: {known}."
    )
