"""From objects to Workloads: what a run of a job and a replica of a revision are. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from shipway import program
from shipway.bundle import HttpProbe, Limits, Owner, Terms, Workload
from shipway.kinds import (
    FORCE_CONFLICTS,
    JobInput,
    ModelJob,
    ModelService,
    Probe,
    Resources,
    Revision,
    Run,
)
from shipway.kinds.quantity import cpu_cores, memory_bytes

_RUN = re.compile(r"[-a-z0-9]+-[0-9a-f]{8}-[0-9]+-[0-9]+")
DESCRIBE = ("python", "-m", "shipway.runtime.describe")


def run_workload_name(run: Run) -> str:
    """``digits-1a2b3c4d-1-1``: job, its uid, run, attempt. Names are used once."""
    return f"{run.id}-{run.attempt}"


def job_of_workload(workload: str) -> str:
    """The inverse: the job's name."""
    return workload.rsplit("-", 3)[0]


def is_run(workload: str) -> bool:
    """Whether that is the name of a run's attempt; else it is a service's."""
    return _RUN.fullmatch(workload) is not None


def attempt_of_workload(workload: str) -> tuple[int, int]:
    """Its place among the runs of its job: the run's number, and the attempt."""
    number, attempt = workload.rsplit("-", 2)[1:]
    return int(number), int(attempt)


def run_prefix(job: ModelJob) -> str:
    """What all workloads of a job begin with."""
    return f"{job.name}-{job.metadata.uid[:8]}-"


def job_workload(job: ModelJob, run: Run) -> Workload:
    """One attempt of a run."""
    spec, runs = job.spec, program.of_job(job)
    return Workload(
        name=run_workload_name(run),
        mode="job",
        command=runs.command,
        replicas=spec.replicas,
        env=runs.env,
        secret_env=runs.secret_env,
        environment=runs.environment,
        source=spec.source.digest,
        inputs={name: _input(one) for name, one in spec.inputs.items()},
        limits=_limits(spec.resources),
        timeout=spec.timeout,
        afterwards=DESCRIBE if spec.model else (),
    )


def revision_workload(revision: Revision, replicas: int) -> Workload:
    """The replicas of a revision: the model server, or the user's own command."""
    template, model = revision.spec.template, revision.spec.model
    runs = program.of_service(revision.spec.service, template, model)
    ready, live = ("/v2/health/ready", "/v2/health/live") if model is not None else (None, None)
    return Workload(
        name=revision.name,
        mode="server",
        command=runs.command,
        replicas=replicas,
        env=runs.env,
        secret_env=runs.secret_env,
        environment=runs.environment,
        source=template.source.digest if template.source else None,
        model=model.digest if model else None,
        serves=True,
        grpc=model is not None and template.server.grpc,
        startup=_probe(template.startup, ready),
        readiness=_probe(template.readiness, ready),
        liveness=_probe(template.liveness, live),
        limits=_limits(template.resources),
        grace_period=template.grace_period,
    )


def service_workload(service: ModelService, revision: Revision) -> Workload:
    """The replicas of a service where the cluster exchanges them by itself: one workload, whichever revision it has."""
    return replace(revision_workload(revision, service.spec.replicas), name=service.name)


def terms_of_service(service: ModelService, revision: Revision | None = None, image: str = "") -> Terms:
    """What a cluster beyond this machine is asked about it. ``revision``: the one that is to run; None where there is
    no hub that numbers them. ``image``: in place of the template's own."""
    spec = service.spec
    template = revision.spec.template if revision is not None else spec.template()
    return Terms(
        owner=Owner(
            kind="ModelService",
            name=service.name,
            uid=service.metadata.uid,
            revision=revision.name if revision is not None else "",
            labels=service.metadata.labels,
        ),
        image=image or template.image,
        args=template.args,
        port=template.port,
        grpc_port=template.port + 1 if template.port < 65535 else template.port - 1,
        resources=template.resources,
        placement=template.placement,
        volumes=template.volumes,
        force_conflicts=FORCE_CONFLICTS in service.metadata.annotations,
        stable_identity=template.stable_identity,
        exposure=spec.expose,
        scaling=spec.scaling,
        disruption=spec.disruption,
        rolling_update=spec.rolling_update,
        progress_deadline=spec.rollout.progress_deadline,
    )


def terms_of_job(job: ModelJob, image: str = "") -> Terms:
    """The same of a job."""
    spec = job.spec
    return Terms(
        owner=Owner(kind="ModelJob", name=job.name, uid=job.metadata.uid, labels=job.metadata.labels),
        image=image or spec.image,
        args=spec.args,
        resources=spec.resources,
        placement=spec.placement,
        volumes=spec.volumes,
        force_conflicts=FORCE_CONFLICTS in job.metadata.annotations,
        mode=spec.mode,
        indexed=spec.indexed,
        ttl=spec.ttl,
        schedule=spec.schedule,
    )


def _input(one: JobInput) -> str:
    return f"{one.digest}/{one.file}" if one.file else one.digest or ""


def _limits(resources: Resources) -> Limits:
    return Limits(
        cpu=cpu_cores(resources.cpu) if resources.cpu else None,
        memory=memory_bytes(resources.memory) if resources.memory else None,
        gpu=resources.gpu,
    )


def _probe(probe: Probe, path: str | None = None) -> HttpProbe:
    return HttpProbe(probe.path or path, probe.period, probe.timeout, probe.failure_threshold)
