"""ModelJob: code that runs to its end and may produce a version of a Model."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from shipway.kinds.cluster import LOCAL
from shipway.kinds.meta import DigestStr, Name, Object, Status, Value, described
from shipway.kinds.parts import EnvVars, Resources, Source
from shipway.kinds.placement import Placement
from shipway.kinds.quantity import Seconds
from shipway.kinds.volumes import Volume

RETRAIN = "shipway.dev/retrain"  # annotation: a new value asks for one more run of the same job

_DATA = re.compile(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?(:(latest|[1-9][0-9]{0,8}))?")

JobPhase = Literal["Pending", "Running", "Packing", "Succeeded", "Failed"]


def _data_reference(text: str) -> str:
    if not _DATA.fullmatch(text):
        raise ValueError(f"{text!r} is not a data set: write NAME, NAME:latest or NAME:N, like digits:2")
    return text


DataReference = Annotated[str, AfterValidator(_data_reference), described(_DATA)]


class JobInput(Value):
    """What the job reads: a file or folder (``path``), or a version of a data set (``data``).

    Of a path the CLI takes a snapshot; of a data set it asks for the version, the latest when no number is given. It
    writes the other two fields. A plain string is the ``path``.
    """

    path: str | None = None
    data: DataReference | None = None
    digest: DigestStr | None = None
    file: str | None = None  # its name, when the path is one file and not a folder

    @field_validator("file")
    @classmethod
    def _stays_in_the_snapshot(cls, file: str | None) -> str | None:
        if file is not None and (file in ("", ".", "..") or "/" in file or "\0" in file):
            raise ValueError(f"{file!r} is not the name of a file in the snapshot: no '/', not '.' or '..'")
        return file

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _from_one_place(self) -> Self:
        if (self.path is None) == (self.data is None):
            raise ValueError("give either path (a file or a folder) or data (NAME or NAME:N of a data set)")
        if self.data is not None and self.file is not None:
            raise ValueError("file goes with path: a data set is a folder")
        return self


class CacheTtl(Value):
    """Use an equal run's result only if it is younger than ``ttl`` seconds."""

    ttl: Seconds


class Evaluate(Value):
    """The gate before a version becomes champion."""

    metric: str
    min: float | None = None
    max: float | None = None
    not_worse_than: str | None = None  # an alias ("champion") or a version number
    goal: Literal["maximize", "minimize"] = "maximize"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.min is None and self.max is None and self.not_worse_than is None:
            raise ValueError("give at least one of min, max, notWorseThan")
        return self


class Indexed(Value):
    """Of ``mode: indexed``, where each replica is a piece of work of its own (Kubernetes' Indexed Job): how often one
    is tried again by itself, how many may fail, and which ones are enough ("0", "0-3,7")."""

    retries_per_index: Annotated[int, Field(ge=0)] | None = None
    max_failed: Annotated[int, Field(ge=0)] | None = None
    succeeded: str = ""
    parallelism: Annotated[int, Field(ge=1)] | None = None  # at once; None: all


class ModelJobSpec(Value):
    """What a user declares of a job."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()  # of the entrypoint that the image has, where no command is given
    source: Source = Source()
    requirements: str | tuple[str, ...] | None = None  # a file's name; the CLI writes its lines
    env: EnvVars = {}
    inputs: dict[Name, JobInput] = {}
    params: dict[str, bool | int | float | str] = {}
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    mode: Literal["gang", "indexed", "elastic"] = "gang"
    retries: Annotated[int, Field(ge=0)] = 0
    timeout: Seconds | None = None
    resources: Resources = Resources()
    model: Name | None = None
    evaluate: Evaluate | None = None
    optimize: Literal["none", "auto"] = "none"  # look for a faster form of the model that gives the same answers
    cache: bool | CacheTtl = True
    cluster: Name = LOCAL
    image: str = (
        ""  # by digest; `up` builds and pushes it for a cluster. Given here: it has the code, and source is not used
    )
    placement: Placement = Placement()
    volumes: tuple[Volume, ...] = ()
    indexed: Indexed = Indexed()
    ttl: Seconds | None = None  # a run that has ended is removed from the cluster after so long
    schedule: str = ""  # cron, as in Kubernetes' CronJob: rendered only; a hub starts no run by the clock

    @model_validator(mode="after")
    def _command_or_image(self) -> Self:
        if not self.command and not self.image:
            raise ValueError("give command, or image (whose entrypoint is run)")
        if self.args and (self.command or not self.image):
            raise ValueError("args are of an image's own entrypoint: they need image, and no command")
        return self

    @model_validator(mode="after")
    def _gate_needs_model(self) -> Self:
        if self.evaluate is not None and self.model is None:
            raise ValueError("evaluate needs model: the gate decides about a model's version")
        if self.optimize != "none" and self.model is None:
            raise ValueError("optimize needs model: there is nothing to optimize in a job without one")
        return self


class Run(Value):
    """One execution of a job: attempts share a run, a new fingerprint or a retrain makes a new one."""

    id: str
    fingerprint: DigestStr
    components: dict[str, str] = {}  # what the fingerprint is made of, name to digest or value
    declared: dict[str, Any] = {}  # the same as people read it; values of secrets never
    attempt: int = 1
    disruptions: int = 0  # attempts that the cluster ended, and not the code: they are no retries
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int | None = None
    signal: int | None = None
    retry_at: datetime | None = None
    cluster: Name = LOCAL  # where it runs
    retrain: str = ""  # value of the retrain annotation that this run answers


class ModelJobStatus(Status):
    """What became of it."""

    phase: JobPhase = "Pending"
    run: Run | None = None
    runs: int = 0  # runs started since the job exists; the next id
    version: str | None = None  # "digits:2", the version that this spec stands for
    cached: bool = False
    promoted: bool | None = None  # gate: None while not asked
    metrics: dict[str, float] = {}
    environment: str = ""  # which Python ran it, in words
    log: str = ""  # path of the full log of the latest attempt
    tail: str = ""  # the last lines of a failed attempt


class ModelJob(Object):
    """Code that runs to its end."""

    plural: ClassVar[str] = "modeljobs"
    short_name: ClassVar[str] = "mjob"

    kind: Literal["ModelJob"] = "ModelJob"
    spec: ModelJobSpec
    status: ModelJobStatus = ModelJobStatus()

    @property
    def attempts(self) -> int:
        """How many its run may have."""
        return self.spec.retries + 1 + (self.status.run.disruptions if self.status.run is not None else 0)

    def mark_started(self, run: Run, now: datetime) -> Self:
        """A run (or a further attempt of it) was given to a cluster."""
        status = self.status.model_copy(
            update={
                "phase": "Running",
                "run": run,
                "runs": max(self.status.runs, int(run.id.rpartition("-")[2])),
                "version": None,
                "cached": False,
                "promoted": None,
                "metrics": {},
                "environment": "",
                "log": "",
                "tail": "",
            }
        )
        return self.with_status(status).with_condition(
            "Complete", "Unknown", "Running", f"run {run.id}, attempt {run.attempt}", now
        )

    def mark_under_way(self, reason: Literal["Preparing", "Running"], message: str, now: datetime) -> Self:
        """Its files and its environment are being made, or its code runs."""
        return self.with_condition("Complete", "Unknown", reason, message, now)

    def mark_packing(
        self, run: Run, metrics: dict[str, float], now: datetime, *, environment: str = "", log: str = ""
    ) -> Self:
        """The code ended with 0; its output is being packed.

        Tried again after a fault, it goes on saying what holds it up: two words in turn would each be a change, which
        wakes whoever watches, and packing would be tried without a pause.
        """
        status = self.status.model_copy(
            update={"phase": "Packing", "run": run, "metrics": metrics, "environment": environment, "log": log}
        )
        packing = self.with_status(status)
        complete = self.status.condition("Complete")
        if self.status.phase == "Packing" and complete is not None and complete.reason == "PackingDelayed":
            return packing
        return packing.with_condition("Complete", "Unknown", "Packing", f"run {run.id}", now)

    def mark_packing_stuck(self, message: str, now: datetime) -> Self:
        """Packing met a fault of this machine or the cluster (a full disk, a node that is away) and is tried again."""
        return self.with_condition("Complete", "Unknown", "PackingDelayed", message, now)

    def mark_retrying(self, run: Run, message: str, now: datetime) -> Self:
        """An attempt failed, as ``message`` says; the next one starts at ``run.retry_at``."""
        status = self.status.model_copy(update={"run": run})
        return self.with_status(status).with_condition("Complete", "Unknown", "BackOff", message, now)

    def mark_succeeded(
        self,
        *,
        version: str | None,
        promoted: bool | None,
        metrics: dict[str, float],
        cached: bool,
        reason: str,
        message: str,
        now: datetime,
    ) -> Self:
        """The job is done: it ran, or an equal run was found (``cached``).

        Reasons: ``Succeeded``, ``CacheHit``, ``GateFailed`` (the version is kept and not rolled out).
        """
        status = self.status.model_copy(
            update={
                "phase": "Succeeded",
                "version": version,
                "cached": cached,
                "promoted": promoted,
                "metrics": metrics,
                "tail": "",
            }
        )
        return self.with_status(status).with_condition("Complete", "True", reason, message, now)

    def mark_failed(self, run: Run | None, reason: str, message: str, tail: str, log: str, now: datetime) -> Self:
        """The job failed for good: retries are used up or there is nothing to retry."""
        status = self.status.model_copy(
            update={"phase": "Failed", "run": run, "tail": tail, "log": log, "version": None}
        )
        return self.with_status(status).with_condition("Complete", "False", reason, message, now)
