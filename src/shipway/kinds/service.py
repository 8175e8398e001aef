"""ModelService: a model, or a server of the user's own, kept running behind one URL."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from shipway.kinds.cluster import LOCAL
from shipway.kinds.exposure import Exposure
from shipway.kinds.meta import DigestStr, Name, Object, ObjectMeta, Status, Value, described
from shipway.kinds.parts import EnvVars, Probe, Resources, Source
from shipway.kinds.placement import Placement
from shipway.kinds.quantity import Seconds
from shipway.kinds.scaling import Disruption, RollingUpdate, Scaling
from shipway.kinds.server import Server
from shipway.kinds.volumes import Volume

RETRY = "shipway.dev/retry"  # annotation: a new value starts a failed revision once more

LONGEST_SERVICE_NAME = 44  # a revision adds "-00001", and no name is longer than 50

_MODEL_REF = re.compile(r"[a-z][-a-z0-9]{0,49}(:([0-9]{1,9}|[a-z][-a-z0-9]*))?")


def _check_model_ref(value: str) -> str:
    if not _MODEL_REF.fullmatch(value):
        raise ValueError(f"{value!r} is not a model: write NAME, NAME:2 (a version) or NAME:alias")
    return value


ModelRef = Annotated[str, AfterValidator(_check_model_ref), described(_MODEL_REF)]


class RevisionTemplate(Value):
    """The part of a service that a Revision freezes: what one replica is."""

    predictor: str | None = None  # "predictor.py:Digits"; without one the model's format decides
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()  # of the entrypoint that the image has, where no command is given
    port: Annotated[int, Field(ge=1, le=65535)] = 8080  # inside a container; $PORT says it everywhere
    source: Source | None = None
    requirements: str | tuple[str, ...] | None = None
    env: EnvVars = {}
    resources: Resources = Resources()
    startup: Probe = Probe(failure_threshold=60)
    readiness: Probe = Probe()
    liveness: Probe = Probe(period=5.0, timeout=5.0, failure_threshold=6)
    allow_pickle: bool = False
    server: Server = Server()  # how Shipway serves the model
    grace_period: Seconds = 20.0
    image: str = (
        ""  # by digest; `up` builds and pushes it for a cluster. Given here: it has the code, and source is not used
    )
    placement: Placement = Placement()
    volumes: tuple[Volume, ...] = ()
    stable_identity: bool = False  # replicas keep their names and volumes (a StatefulSet)


class RolloutPolicy(Value):
    """When a new revision that does not get ready is given up."""

    progress_deadline: Seconds = 120.0


class ModelServiceSpec(RevisionTemplate):
    """What a user declares of a service."""

    model: ModelRef | None = None
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    rollout: RolloutPolicy = RolloutPolicy()
    timeout: Seconds = 60.0
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    cluster: Name = LOCAL
    scaling: Scaling | None = None  # instead of replicas, where the cluster scales by load
    disruption: Disruption = Disruption()
    rolling_update: RollingUpdate = RollingUpdate()
    expose: Exposure = Exposure()

    @model_validator(mode="after")
    def _model_or_command(self) -> Self:
        if self.model is not None and self.command:
            raise ValueError("give either model (Shipway serves it) or command (your own server)")
        if self.model is None and not self.command and not self.image:
            raise ValueError("give model (Shipway serves it), command (your own server) or image (whose entrypoint is)")
        if self.args and (self.command or not self.image):
            raise ValueError("args are of an image's own entrypoint: they need image, and no command")
        if self.predictor and self.model is None:
            raise ValueError("predictor needs model; a server of your own has command and port")
        return self

    def template(self) -> RevisionTemplate:
        """What a Revision freezes; replicas, timeouts and the rollout policy may change without one."""
        return RevisionTemplate(**{name: getattr(self, name) for name in RevisionTemplate.model_fields})


class ResolvedModel(Value):
    """The version that a reference stands for now."""

    name: Name
    version: int
    digest: DigestStr
    format: str = ""
    origin: Literal["job", "import", "pulled"] = "job"  # who made it: a pickle that was not trained here is not loaded
    trusted: bool = False  # unless somebody answers for it


class ModelServiceStatus(Status):
    """What runs and where it answers."""

    url: str = ""
    model: ResolvedModel | None = None  # of the revision with the traffic
    ready_revision: str = ""  # the one with the traffic
    latest_model: ResolvedModel | None = None  # of the latest revision: what the spec stands for now
    latest_revision: str = ""  # the newest that was asked for
    replicas: int = 0
    ready_replicas: int = 0
    environment: str = ""  # which Python runs it, in words
    cluster: str = LOCAL  # where it runs
    retry: str = ""  # value of the retry annotation that the last look answered
    addresses: tuple[str, ...] = ()  # where the cluster lets it be reached, besides the url


class ModelService(Object):
    """A model kept running behind one URL."""

    plural: ClassVar[str] = "modelservices"
    short_name: ClassVar[str] = "msvc"

    kind: Literal["ModelService"] = "ModelService"
    spec: ModelServiceSpec
    status: ModelServiceStatus = ModelServiceStatus()

    @field_validator("metadata")
    @classmethod
    def _leaves_room_for_revisions(cls, metadata: ObjectMeta) -> ObjectMeta:
        if len(metadata.name) > LONGEST_SERVICE_NAME:
            raise ValueError(
                f"the name {metadata.name!r} is too long for a service: at most {LONGEST_SERVICE_NAME} characters, "
                "so that the names of its revisions have room"
            )
        return metadata

    def mark_waiting(self, reason: str, message: str, now: datetime) -> Self:
        """Nothing can be rolled out yet (no such model, no version that passed its gate)."""
        return self.with_condition("RolledOut", "Unknown", reason, message, now)

    def mark_progressing(self, revision: str, model: ResolvedModel | None, message: str, now: datetime) -> Self:
        """A revision is on its way."""
        status = self.status.model_copy(update={"latest_revision": revision, "latest_model": model})
        return self.with_status(status).with_condition("RolledOut", "Unknown", "Progressing", message, now)

    def mark_rolled_out(self, revision: str, model: ResolvedModel | None, url: str, now: datetime) -> Self:
        """All traffic goes to the revision."""
        both = {"latest_revision": revision, "ready_revision": revision, "latest_model": model, "model": model}
        status = self.status.model_copy(update={**both, "url": url})
        return self.with_status(status).with_condition(
            "RolledOut", "True", "RolledOut", f"all traffic goes to {revision}", now
        )

    def mark_rollout_failed(
        self, revision: str, model: ResolvedModel | None, reason: str, message: str, now: datetime
    ) -> Self:
        """The revision never got traffic; the one before goes on serving."""
        status = self.status.model_copy(update={"latest_revision": revision, "latest_model": model})
        return self.with_status(status).with_condition("RolledOut", "False", reason, message, now)

    def mark_not_serving(self, now: datetime) -> Self:
        """No revision of it has had traffic yet."""
        return self.with_condition("Ready", "False", "NothingLive", "no revision has traffic yet", now)

    def mark_serving(self, *, ready: int, wanted: int, url: str, environment: str, message: str, now: datetime) -> Self:
        """How many replicas of the revision with the traffic answer now."""
        status = self.status.model_copy(
            update={"replicas": wanted, "ready_replicas": ready, "url": url, "environment": environment}
        )
        reason = "Serving" if ready else "NoReadyReplica" if wanted else "ScaledToZero"
        told = "; ".join(filter(None, [f"{ready} of {wanted} replicas are ready", message]))
        return self.with_status(status).with_condition("Ready", "True" if ready else "False", reason, told, now)
