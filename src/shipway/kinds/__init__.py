"""The kinds: types, defaults, validation and lifecycle, one file each. No I/O."""

from __future__ import annotations

from shipway.kinds.cluster import FORCE_CONFLICTS, LOCAL, Cluster, ClusterSpec, ClusterStatus
from shipway.kinds.exposure import Exposure
from shipway.kinds.job import RETRAIN, CacheTtl, Evaluate, Indexed, JobInput, ModelJob, ModelJobSpec, Run
from shipway.kinds.meta import API_VERSION, Condition, Object, ObjectMeta, Status, Value
from shipway.kinds.model import (
    CHAMPION,
    LATEST,
    LISTED,
    Model,
    ModelSignature,
    ModelSpec,
    ModelTensor,
    ModelVersion,
    split_reference,
)
from shipway.kinds.parts import EnvVars, FromSecret, Probe, Resources, SecretRef, Source
from shipway.kinds.placement import Placement, Spread, Toleration
from shipway.kinds.revision import Revision, RevisionSpec
from shipway.kinds.route import Backend, Route, RouteSpec
from shipway.kinds.scaling import Disruption, RollingUpdate, Scaling, Target
from shipway.kinds.service import (
    RETRY,
    ModelService,
    ModelServiceSpec,
    ResolvedModel,
    RevisionTemplate,
)
from shipway.kinds.volumes import Volume

KINDS: dict[str, type[Object]] = {
    cls.__name__: cls for cls in (ModelJob, Model, ModelService, Revision, Route, Cluster)
}

__all__ = [
    "API_VERSION",
    "CHAMPION",
    "FORCE_CONFLICTS",
    "KINDS",
    "LATEST",
    "LISTED",
    "LOCAL",
    "RETRAIN",
    "RETRY",
    "Backend",
    "CacheTtl",
    "Cluster",
    "ClusterSpec",
    "ClusterStatus",
    "Condition",
    "Disruption",
    "EnvVars",
    "Evaluate",
    "Exposure",
    "FromSecret",
    "Indexed",
    "JobInput",
    "Model",
    "ModelJob",
    "ModelJobSpec",
    "ModelService",
    "ModelServiceSpec",
    "ModelSignature",
    "ModelSpec",
    "ModelTensor",
    "ModelVersion",
    "Object",
    "ObjectMeta",
    "Placement",
    "Probe",
    "ResolvedModel",
    "Resources",
    "Revision",
    "RevisionSpec",
    "RevisionTemplate",
    "RollingUpdate",
    "Route",
    "RouteSpec",
    "Run",
    "Scaling",
    "SecretRef",
    "Source",
    "Spread",
    "Status",
    "Target",
    "Toleration",
    "Value",
    "Volume",
    "split_reference",
]
