"""Declared objects to what a cluster is given, with references in place of what a hub would look up. Pure but for what
``known`` looks up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shipway.bundle import Bundle
from shipway.controllers.templates import job_workload, service_workload, terms_of_job, terms_of_service
from shipway.errors import UserError
from shipway.kinds import ModelJob, ModelService, Object, ObjectMeta, ResolvedModel, Revision, RevisionSpec, Run
from shipway.oci.reference import Reference
from shipway.rendering.world import Known, Model, Wanted

_NONE = "sha256:" + "0" * 64  # of what is asked for by digest, and has none here
_VERSION = "SHIPWAY_MODEL_VERSION"


@dataclass(frozen=True, slots=True)
class Placed:
    """A bundle, and the reference of each digest that it names."""

    bundle: Bundle
    references: dict[str, str]


def bundles(objects: Sequence[Object], wanted: Wanted, known: Known) -> tuple[Placed, ...]:
    """Of the jobs and services, in their order. Raises UserError, naming the option, for what nobody said."""
    every = [one for one in objects if isinstance(one, ModelJob | ModelService)]
    if not every:
        raise UserError("there is no service and no job to render", next_step="See `shipway init`, or docs/kinds.md.")
    workloads = _only(every, wanted.only)
    _refuse_unknown(workloads, wanted)
    services = {one.name for one in every if isinstance(one, ModelService)}
    return tuple(
        _of_service(one, wanted, known) if isinstance(one, ModelService) else _of_job(one, services, wanted, known)
        for one in workloads
    )


def _only(every: Sequence[ModelJob | ModelService], only: Sequence[str]) -> list[ModelJob | ModelService]:
    there = {f"{_kind(one)}/{one.name}": one for one in every}
    for name in only:
        if name not in there:
            raise UserError(f"--only {name}: there is no such workload", next_step=f"There are: {', '.join(there)}.")
    return [one for name, one in there.items() if not only or name in only]


def _refuse_unknown(workloads: Sequence[ModelJob | ModelService], wanted: Wanted) -> None:
    names = {name for one in workloads for name in (one.name, f"{_kind(one)}/{one.name}")}
    served = {(one.spec.model or "").partition(":")[0] for one in workloads if isinstance(one, ModelService)} - {""}
    for option, given, there in (("--image", wanted.images, names), ("--model", wanted.models, served)):
        for name in given:
            if name not in there:
                told = f"There are: {', '.join(sorted(there))}." if there else "There is none."
                raise UserError(f"{option} {name}=...: nothing that is rendered has that name", next_step=told)


def _of_service(service: ModelService, wanted: Wanted, known: Known) -> Placed:
    model = _model(service, wanted, known) if service.spec.model else None
    template = service.spec.template()
    # A snapshot as the hub makes them, but for its number: nobody counts revisions here.
    revision = Revision(
        metadata=ObjectMeta(name=service.name),
        spec=RevisionSpec(
            service=service.name,
            number=1,
            template=template,
            model=model.resolved if model is not None else None,
            hash=_NONE,
        ),
    )
    workload = service_workload(service, revision)
    if model is not None and model.resolved.version == 0:
        workload = replace(workload, env={name: value for name, value in workload.env.items() if name != _VERSION})
    image = _image(service, service.name, wanted, known)
    references = {model.resolved.digest: model.reference} if model is not None else {}
    return Placed(Bundle(workload, terms_of_service(service, None, image)), references)


def _of_job(job: ModelJob, services: set[str], wanted: Wanted, known: Known) -> Placed:
    if job.spec.inputs:
        names = ", ".join(sorted(job.spec.inputs))
        raise UserError(
            f"job {job.name!r} reads inputs ({names}), which a hub brings to its Pods",
            next_step="Run it by `shipway up --cluster`, or mount its data: volumes.",
        )
    if job.spec.model and not (wanted.courier and wanted.registry):
        raise UserError(
            f"job {job.name!r} makes versions of the model {job.spec.model!r}, which its Pod pushes to a registry",
            next_step="Say --registry HOST/TEAM and --courier IMAGE (`shipway build --courier --push` makes it).",
        )
    # As `shipway build` calls the image of a job that has the name of a service; their objects would collide, too.
    name = f"{job.name}-job" if job.name in services else job.name
    run = Run(id=name, fingerprint=_NONE, started_at=datetime(1970, 1, 1, tzinfo=UTC))
    workload = replace(job_workload(job, run), name=name)
    return Placed(Bundle(workload, terms_of_job(job, _image(job, name, wanted, known))), {})


def _image(one: ModelJob | ModelService, built: str, wanted: Wanted, known: Known) -> str:
    """Said, declared, or built and pushed by this home."""
    said = wanted.images.get(f"{_kind(one)}/{one.name}") or wanted.images.get(one.name)
    found = said or one.spec.image or known.image(built)
    if not found:
        raise UserError(
            f"{_kind(one)} {one.name!r} has no image, and this home pushed none called {built!r}",
            next_step=f"Build and push it: shipway build --push; or say it: --image {one.name}=REF.",
        )
    return found


def _model(service: ModelService, wanted: Wanted, known: Known) -> Model:
    declared = service.spec.model or ""
    name, _, ref = declared.partition(":")
    said = wanted.models.get(name)
    found = _said(name, ref, said) if said is not None else known.model(declared)
    if found is None:
        raise UserError(
            f"service {service.name!r} serves the model {declared!r}, and this home does not know where it was pushed",
            next_step=f"Push it: shipway models push {declared} HOST/REPOSITORY; or say where it is: "
            f"--model {name}=REF@sha256:...",
        )
    return found


def _said(name: str, ref: str, text: str) -> Model:
    """A model by its reference. Of how it was made nothing is known: a pickle takes the service's ``allowPickle``."""
    reference = Reference.parse(text)
    if reference.digest is None:
        raise UserError(
            f"--model {name}={text} has no digest, and a tag may mean another model tomorrow",
            next_step=f"Write --model {name}={text}@sha256:..., as `shipway models push` prints it.",
        )
    number = ref or reference.tag or ""
    version = int(number) if number.isdecimal() else 0
    resolved = ResolvedModel(name=name, version=version, digest=str(reference.digest), origin="pulled")
    return Model(resolved, str(replace(reference, tag=None)))


def _kind(one: ModelJob | ModelService) -> str:
    return "job" if isinstance(one, ModelJob) else "service"
