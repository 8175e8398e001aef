"""Bundles of services that people have, each with the place that it is rendered for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shipway.bundle import Bundle, Environment, HttpProbe, Owner, Terms, Workload
from shipway.cluster.kubernetes.place import Place
from shipway.kinds import Disruption, Exposure, Placement, Resources, RollingUpdate, Scaling, Volume
from shipway.kinds.placement import Spread, Toleration
from shipway.kinds.scaling import Target
from shipway.program import MODEL_SERVER

MODEL = "sha256:" + "a" * 64
IMAGE = "ghcr.io/team/digits@sha256:" + "b" * 64

PLACE = Place(
    namespace="ml",
    owner="0123456789ab",
    courier="ghcr.io/team/courier@sha256:" + "c" * 64,
    image_volumes=True,
    references={MODEL: f"ghcr.io/team/digits-model@{MODEL}"},
    secrets={"store": {"PASSWORD": "correct horse", "USER": "battery"}},
)
COURIERS = replace(
    PLACE,
    image_volumes=False,
    pull_secret="registry",
    plain_http=True,
    references={MODEL: f"registry.local:5000/team/digits-model@{MODEL}"},
)


def model_server(name: str = "digits", **fields: Any) -> Workload:
    """A model, served by Shipway, as the hub makes it by default."""
    given: dict[str, Any] = {
        "env": {"SHIPWAY_MODEL_NAME": name, "SHIPWAY_MODEL_VERSION": "2", "SHIPWAY_ALLOW_PICKLE": "1"},
        "environment": Environment(("scikit-learn==1.9.1",)),
        "model": MODEL,
        "startup": HttpProbe("/v2/health/ready", failure_threshold=60),
        "readiness": HttpProbe("/v2/health/ready"),
        "liveness": HttpProbe("/v2/health/live", 5.0, 5.0, 6),
    }
    return Workload(name, "server", MODEL_SERVER, serves=True, **{**given, **fields})


def own_server(name: str = "app", **fields: Any) -> Workload:
    """A server of the user's own."""
    command = ("gunicorn", "app:app", "--bind", "$(HOST):$(PORT)")
    given: dict[str, Any] = {"startup": HttpProbe(failure_threshold=60), "readiness": HttpProbe("/healthz")}
    return Workload(name, "server", command, serves=True, **{**given, **fields})


def terms(name: str = "digits", revision: int = 1, **fields: Any) -> Terms:
    """Of a service."""
    owner = Owner("ModelService", name, "6f1c2a34-0000-4000-8000-000000000001", f"{name}-{revision:05d}")
    return Terms(**{"owner": owner, "image": IMAGE, **fields})


def _gpu() -> Bundle:
    resources = Resources(cpu="4", memory="16Gi", gpu=2, extended={"rdma/hca": 1}, ephemeral="20Gi")
    placement = Placement(
        node_selector={"pool": "gpu"},
        tolerations=(
            Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),
            Toleration(key="spot", value="yes", effect="NoExecute", toleration_seconds=60),
        ),
        affinity={
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"labelSelector": {"matchLabels": {"app": "noisy"}}, "topologyKey": "kubernetes.io/hostname"}
                ]
            }
        },
        spread=(Spread(topology_key="topology.kubernetes.io/zone", max_skew=2, when_unsatisfiable="DoNotSchedule"),),
        priority_class="important",
        gpu_model="NVIDIA-A100-SXM4-80GB",
    )
    workload = model_server("llm", replicas=2, grace_period=120.0)
    return Bundle(workload, terms("llm", resources=resources, placement=placement, progress_deadline=900.5))


def _everything() -> Bundle:
    """All that a server of one's own can ask for."""
    env = {"PASSWORD_LINE": "$(USER):$(PASSWORD)", "GREETING": "$(NAME), $$(NAME)", "NAME": "hello", "FLAG": "1e3"}
    secret = {"PASSWORD": ("store", "PASSWORD"), "USER": ("store", "USER")}
    volumes = (
        Volume(name="config", path="/etc/app", files={"app.ini": "[app]\nworkers = 2\n", "empty": ""}, read_only=True),
        Volume(name="shared", path="/shared", size="10Gi", access_mode="ReadWriteMany", storage_class="nfs"),
        Volume(name="old", path="/old", claim="made-by-hand", sub_path="app", read_only=True),
        Volume(name="certs", path="/certs", secret="tls.internal", read_only=True),
        Volume(name="site", path="/site", config_map="site"),
        Volume(name="tmp", path="/tmp", scratch="2Gi"),
    )
    exposure = Exposure(
        service="LoadBalancer",
        via="ingress",
        host="app.example.com",
        ingress_class="nginx",
        tls_secret="app-tls",
        annotations={"service.beta.kubernetes.io/aws-load-balancer-type": "nlb", "example.com/on": "yes"},
    )
    scaling = Scaling(
        min_replicas=2,
        max_replicas=10,
        targets=(
            Target(metric="cpu", utilization=70),
            Target(metric="memory", average="1Gi"),
            Target(metric="http_requests_per_second", average="100"),
        ),
        scale_down_after=120.0,
    )
    owner = Owner(
        "ModelService", "app", "6f1c2a34-0000-4000-8000-000000000002", "app-00007", {"team": "search", "cost": "42"}
    )
    return Bundle(
        own_server(env=env, secret_env=secret),
        terms(
            "app",
            owner=owner,
            port=80,
            resources=Resources(cpu="500m", memory="1Gi"),
            volumes=volumes,
            exposure=exposure,
            scaling=scaling,
            disruption=Disruption(max_unavailable="25%"),
            rolling_update=RollingUpdate(max_surge=2, max_unavailable="10%"),
        ),
    )


def _stateful() -> Bundle:
    volumes = (
        Volume(name="data", path="/data", size="5Gi"),
        Volume(name="model", path="/cache", size="1Gi", access_mode="ReadWriteOncePod", storage_class=""),
    )
    workload = own_server("store", replicas=3, env={"NAME": "store-$(SHIPWAY_REPLICA_INDEX)"})
    return Bundle(workload, terms("store", volumes=volumes, stable_identity=True))


def _gateway() -> Bundle:
    exposure = Exposure(via="gateway", gateway="infra/public", host="digits.example.com", path="/v2")
    tracing = {**model_server().env, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    return Bundle(model_server(grpc=True, replicas=3, env=tracing), terms(exposure=exposure, port=9000))


def _recreated() -> Bundle:
    volumes = (Volume(name="only", path="/only", size="1Gi", access_mode="ReadWriteOncePod"),)
    update, exposure = RollingUpdate(kind="Recreate"), Exposure(service="NodePort", node_port=31080)
    return Bundle(own_server("single"), terms("single", volumes=volumes, rolling_update=update, exposure=exposure))


def _tutorial() -> Bundle:
    """An image of somebody else's, with its own entrypoint, by tag; no hub numbers its revisions."""
    workload = Workload("web", "server", (), serves=True, environment=None)
    owner = Owner("ModelService", "web")
    return Bundle(
        workload, Terms(owner=owner, image="docker.io/library/nginx:1.27", args=("-g", "daemon off;"), port=80)
    )


SERVICES: Mapping[str, tuple[Bundle, Place]] = {
    "model": (Bundle(model_server(), terms()), PLACE),
    "model-by-courier": (Bundle(model_server(), terms()), COURIERS),
    "gpu": (_gpu(), PLACE),
    "everything": (_everything(), PLACE),
    "stateful": (_stateful(), PLACE),
    "gateway": (_gateway(), PLACE),
    "recreated": (_recreated(), PLACE),
    "tutorial": (_tutorial(), Place(namespace="", owner="")),
}
