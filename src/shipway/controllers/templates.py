"""From objects to Workloads: what a run of a job and a replica of a revision are. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from shipway.bundle import Environment, HttpProbe, Limits, Workload
from shipway.kinds import (
    EnvVars,
    FromSecret,
    JobInput,
    ModelJob,
    Probe,
    ResolvedModel,
    Resources,
    Revision,
    RevisionTemplate,
    Run,
)
from shipway.kinds.quantity import cpu_cores, memory_bytes

MODEL_SERVER = ("python", "-m", "shipway.runtime.server")
DESCRIBE = ("python", "-m", "shipway.runtime.describe")


def run_workload_name(run: Run) -> str:
    """``digits-1a2b3c4d-1-1``: job, its uid, run, attempt. Names are used once."""
    return f"{run.id}-{run.attempt}"


def job_of_workload(workload: str) -> str:
    """The inverse: the job's name."""
    return workload.rsplit("-", 3)[0]


def attempt_of_workload(workload: str) -> tuple[int, int]:
    """Its place among the runs of its job: the run's number, and the attempt."""
    number, attempt = workload.rsplit("-", 2)[1:]
    return int(number), int(attempt)


def run_prefix(job: ModelJob) -> str:
    """What all workloads of a job begin with."""
    return f"{job.name}-{job.metadata.uid[:8]}-"


def job_workload(job: ModelJob, run: Run) -> Workload:
    """One attempt of a run."""
    spec = job.spec
    plain, secret = _split(spec.env)
    optimizes = spec.optimize != "none"
    return Workload(
        name=run_workload_name(run),
        mode="job",
        command=spec.command,
        replicas=spec.replicas,
        env={
            **plain,
            "SHIPWAY_PARAMS": json.dumps(spec.params, sort_keys=True),
            **({"SHIPWAY_OPTIMIZE": spec.optimize} if optimizes else {}),
        },
        secret_env=secret,
        environment=Environment(_lines(spec.requirements), features=("optimize",) if optimizes else ()),
        source=spec.source.digest,
        inputs={name: _input(one) for name, one in spec.inputs.items()},
        limits=_limits(spec.resources),
        timeout=spec.timeout,
        afterwards=DESCRIBE if spec.model else (),
    )


def revision_workload(revision: Revision, replicas: int) -> Workload:
    """The replicas of a revision: the model server, or the user's own command."""
    template, model = revision.spec.template, revision.spec.model
    plain, secret = _split(template.env)
    readiness = _probe(template.readiness)
    startup = _probe(template.startup)
    liveness = _probe(template.liveness)
    if model is not None:
        plain |= {
            "SHIPWAY_MODEL_NAME": revision.spec.service,
            "SHIPWAY_MODEL_VERSION": str(model.version),
            "SHIPWAY_ALLOW_PICKLE": "1" if template.allow_pickle or model.trusted or model.origin == "job" else "0",
        }
        if template.predictor:
            plain["SHIPWAY_PREDICTOR"] = template.predictor
        if server := template.server.to_environment():
            plain["SHIPWAY_SERVER"] = server
        startup = _probe(template.startup, "/v2/health/ready")
        readiness = _probe(template.readiness, "/v2/health/ready")
        liveness = _probe(template.liveness, "/v2/health/live")
    return Workload(
        name=revision.name,
        mode="server",
        command=template.command or MODEL_SERVER,
        replicas=replicas,
        env=plain,
        secret_env=secret,
        environment=Environment(
            _lines(template.requirements),
            runtime=model is not None,
            features=_features(template, model) if model is not None else (),
        ),
        source=template.source.digest if template.source else None,
        model=model.digest if model else None,
        serves=True,
        grpc=model is not None and template.server.grpc,
        startup=startup,
        readiness=readiness,
        liveness=liveness,
        limits=_limits(template.resources),
        grace_period=template.grace_period,
    )


def _features(template: RevisionTemplate, model: ResolvedModel) -> tuple[str, ...]:
    """The server's, and onnxruntime for a model that needs it, unless the user names one (onnxruntime-gpu)."""
    named = any(line.lower().startswith("onnxruntime") for line in _lines(template.requirements))
    return (*(() if named or model.format != "onnx" else ("onnx",)), *template.server.features)


def _input(one: JobInput) -> str:
    return f"{one.digest}/{one.file}" if one.file else one.digest or ""


def _split(env: EnvVars) -> tuple[dict[str, str], Mapping[str, tuple[str, str]]]:
    plain = {name: value for name, value in env.items() if isinstance(value, str)}
    secret = {
        name: (value.secret.name, value.secret.key) for name, value in env.items() if isinstance(value, FromSecret)
    }
    return plain, secret


def _lines(requirements: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return requirements if isinstance(requirements, tuple) else ()


def _limits(resources: Resources) -> Limits:
    return Limits(
        cpu=cpu_cores(resources.cpu) if resources.cpu else None,
        memory=memory_bytes(resources.memory) if resources.memory else None,
        gpu=resources.gpu,
    )


def _probe(probe: Probe, path: str | None = None) -> HttpProbe:
    return HttpProbe(probe.path or path, probe.period, probe.timeout, probe.failure_threshold)
