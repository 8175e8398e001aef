"""Immutable values between kinds and clusters: what is to run (Workload) and what does run (Observed).

A cluster turns a Workload into processes or Kubernetes objects. Nothing above the cluster room knows
a pid or a Deployment; nothing in it knows a ModelService.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel

from shipway.kinds import (
    Disruption,
    Exposure,
    Indexed,
    Placement,
    Resources,
    RollingUpdate,
    Scaling,
    Volume,
)

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Environment:
    """Which Python packages the command needs; ``None`` as requirements means: any interpreter.

    ``requirements`` are lines of a requirements file. ``runtime`` adds Shipway's runtime body (the SDK
    and the inference server) and what it requires; ``features`` are the parts of the body that are switched on and
    require more ("grpc", "predictions", "tracing").
    """

    requirements: tuple[str, ...] = ()
    runtime: bool = True
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """HTTP GET on ``path`` of the replica's port (2xx and 3xx pass), or TCP connect when path is None. Seconds."""

    path: str | None = None
    period: float = 1.0
    timeout: float = 1.0
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """Per replica: cores, bytes, devices."""

    cpu: float | None = None
    memory: int | None = None
    gpu: int = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """Replicas of one command.

    ``command`` and ``env`` values may hold ``$(NAME)`` (Kubernetes' expansion) of any variable of the
    replica's environment, ``$(PORT)`` among them. A command that starts with ``python`` runs the
    interpreter of ``environment``.

    ``mode``: ``server`` replicas are restarted with back-off whenever they end; ``job`` replicas run once,
    and when one fails the others are stopped. ``afterwards`` runs where the command of replica 0 ran, when that has
    succeeded, for a minute at most; how it ends says nothing of the job.
    """

    name: str
    mode: Literal["server", "job"]
    command: tuple[str, ...]
    replicas: int = 1
    env: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    secret_env: Mapping[str, tuple[str, str]] = field(default_factory=lambda: _EMPTY)  # env name -> (secret, key)
    environment: Environment | None = Environment()
    source: str | None = None  # digest; its files are the working directory
    model: str | None = None  # digest; its folder is $SHIPWAY_MODEL_DIR
    inputs: Mapping[str, str] = field(default_factory=lambda: _EMPTY)  # name -> digest, or digest/file of it
    serves: bool = False  # each replica gets a port, as $PORT
    grpc: bool = False  # and a second one, as $SHIPWAY_GRPC_PORT
    startup: HttpProbe | None = None
    readiness: HttpProbe | None = None
    liveness: HttpProbe | None = None
    limits: Limits = Limits()
    grace_period: float = 20.0  # seconds between SIGTERM and SIGKILL
    longest_backoff: float = 30.0  # seconds between the end of a server and its next start
    timeout: float | None = None  # seconds a job may take
    afterwards: tuple[str, ...] = ()  # a job's second command

    @property
    def artifacts(self) -> frozenset[str]:
        """The digests of all that it needs on its disk."""
        inputs = (one.partition("/")[0] for one in self.inputs.values())
        return frozenset(one for one in (self.source, self.model, *inputs) if one)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data with the field names of this class."""
        return json.loads(json.dumps(self._document()))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Workload:
        """The inverse of :meth:`to_json`."""
        probes = {name: HttpProbe(**document[name]) for name in ("startup", "readiness", "liveness") if document[name]}
        environment = document["environment"]
        return cls(
            **{
                **document,
                **probes,
                "command": tuple(document["command"]),
                "afterwards": tuple(document.get("afterwards", ())),
                "secret_env": {name: (pair[0], pair[1]) for name, pair in document["secret_env"].items()},
                "limits": Limits(**document["limits"]),
                "environment": Environment(
                    tuple(environment["requirements"]),
                    environment["runtime"],
                    tuple(environment.get("features", ())),  # a workload of an earlier Shipway has none
                )
                if environment
                else None,
            }
        )

    def hash(self) -> str:
        """A digest of everything but the number of replicas: equal hashes need no restart."""
        document = self._document()
        del document["replicas"]
        return "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def _document(self) -> dict[str, Any]:
        return {name: _plain(getattr(self, name)) for name in self.__slots__}


def _plain(value: Any) -> Any:
    """What json can write. Not dataclasses.asdict, which copies deeply: every pass over a service asks for its hash."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Environment | HttpProbe | Limits):
        return {name: getattr(value, name) for name in value.__slots__}
    return value


@dataclass(frozen=True, slots=True)
class Owner:
    """The object that a workload is of, and who made it. ``revision``: "digits-00002", of a service."""

    kind: Literal["ModelService", "ModelJob"]
    name: str
    uid: str = ""
    revision: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)  # of the object, by its user


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a place beyond this machine about a workload, besides running it. This machine has no use of it.

    ``image`` by digest has the command's packages and the code at its working directory. ``mode`` is of a job.
    """

    owner: Owner
    image: str
    args: tuple[str, ...] = ()  # of the image's own entrypoint, where the workload has no command
    port: int = 8080
    grpc_port: int = 8081
    resources: Resources = Resources()
    placement: Placement = Placement()
    volumes: tuple[Volume, ...] = ()
    force_conflicts: bool = False  # fields that others have set are taken from them
    # of a service
    stable_identity: bool = False
    exposure: Exposure = Exposure()
    scaling: Scaling | None = None
    disruption: Disruption = Disruption()
    rolling_update: RollingUpdate = RollingUpdate()
    progress_deadline: float = 120.0
    # of a job
    mode: Literal["gang", "indexed", "elastic"] = "gang"
    indexed: Indexed = Indexed()
    ttl: float | None = None
    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A workload with its terms: all that a cluster needs to make objects of it."""

    workload: Workload
    terms: Terms

    def hash(self) -> str:
        """A digest of all of it but the number of replicas: another one must be applied."""
        # How it is applied is not what is applied.
        names = (name for name in self.terms.__slots__ if name != "force_conflicts")
        terms = {name: _terms_plain(getattr(self.terms, name)) for name in names}
        document = json.dumps([self.workload.hash(), terms], sort_keys=True)
        return "sha256:" + hashlib.sha256(document.encode()).hexdigest()


def _terms_plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Owner):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, tuple):
        return [_terms_plain(one) for one in value]
    return value


ReplicaPhase = Literal["Starting", "Ready", "NotReady", "BackOff", "Stopping", "Exited"]
WorkloadPhase = Literal["Preparing", "Running", "Succeeded", "Failed", "Stopping"]


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica as a cluster sees it. ``exit_code`` and ``signal`` are of its latest end."""

    index: int
    phase: ReplicaPhase
    address: str = ""  # "127.0.0.1:41234"
    grpc_address: str = ""  # where it speaks gRPC
    pid: int | None = None
    restarts: int = 0
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""  # "Error", "OOMKilled", "StartupProbeFailed", "LivenessProbeFailed", "CommandNotFound", ...
    message: str = ""
    revision: str = ""  # which one it runs, where a cluster exchanges replicas by itself
    name: str = ""  # of the Pod
    node: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """One workload as a cluster sees it.

    ``Preparing``: its environment or files are being made. ``Failed``: preparing failed, or a job ended
    badly; a server is ``Running`` however often it restarts.
    """

    name: str
    hash: str
    phase: WorkloadPhase
    replicas: tuple[Replica, ...] = ()
    reason: str = ""
    message: str = ""
    tail: str = ""  # last lines of the log of the replica that failed
    log: str = ""  # path of the full log (of replica 0, or of the one that failed)
    output: str = ""  # folder of a job's output
    environment: str = ""  # which interpreter runs it, in words
    lock: tuple[str, ...] = ()  # the packages of its environment: sorted "name==version" lines
    notes: tuple[str, ...] = ()  # what could not be honoured ("memory limit: cgroups are read-only")
    revision: str = ""  # the one that was applied last, where a cluster exchanges replicas by itself
    wanted: int | None = None  # replicas, where the cluster decides how many
    rolled_out: bool = True  # all replicas are of ``revision``, and as many are ready as are wanted
    addresses: tuple[str, ...] = ()  # where a service is reached, from inside and outside of the cluster
    stale_since: datetime | None = None  # the cluster does not answer: this is as it was last seen
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def ready(self) -> tuple[Replica, ...]:
        """The replicas that may get traffic."""
        return tuple(one for one in self.replicas if one.phase == "Ready")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a replica's output. ``stream`` is ``stdout`` or ``stderr``."""

    at: datetime
    replica: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """What a place can do. ``limits`` names what it enforces; ``notes`` says what it does not, and why."""

    cpus: float
    memory: int
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: str = ""  # of Kubernetes
    nodes: int = 0
    platforms: tuple[str, ...] = ()  # of its nodes: "linux/amd64"
    gpus: Mapping[str, int] = field(default_factory=lambda: _EMPTY)  # allocatable, by extended resource
    features: tuple[str, ...] = ()  # "image-volumes", "metrics-server", "gateway-api"
    owner: str = ""  # the hub that may write there
