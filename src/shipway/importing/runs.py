"""Job, CronJob, and a Pod that is not started again: a ModelJob each."""

from __future__ import annotations

from shipway.importing.block import Block
from shipway.importing.manifests import Manifest
from shipway.importing.pods import Fields, World, template
from shipway.importing.workloads import template_of

KINDS = ("Job", "CronJob")

_BACKOFF_LIMIT = 6  # Kubernetes' own default; ours is 0


def ends(manifest: Manifest) -> bool:
    """Whether a Pod runs to its end."""
    policy = manifest.block.block("spec").peek("restartPolicy")
    return manifest.kind == "Pod" and policy in ("Never", "OnFailure")


def job(manifest: Manifest, world: World) -> Fields:
    """The fields of ``spec``. Raises InvalidObject where a field has a type that Kubernetes would refuse."""
    if manifest.kind == "Pod":
        return _runs(manifest, template_of(manifest), world)
    spec = manifest.block.block("spec")
    fields: Fields = {}
    if manifest.kind == "CronJob":
        fields["schedule"] = spec.text("schedule")
        world.losses.tell(
            manifest,
            (*spec.path, "schedule"),
            "a hub starts no run by the clock; the schedule is for what `shipway render` writes",
            "here, `shipway up --retrain` runs it once more",
        )
        above = spec.block("jobTemplate")
        above.block("metadata").take("labels", dict)
        spec = above.block("spec")
    fields |= _runs(manifest, spec.block("template"), world)
    limit = spec.number("backoffLimit")
    fields["retries"] = _BACKOFF_LIMIT if limit is None else limit
    for theirs, ours in (("activeDeadlineSeconds", "timeout"), ("ttlSecondsAfterFinished", "ttl")):
        if (seconds := spec.number(theirs)) is not None:
            fields[ours] = seconds
    return fields | _pieces(spec, manifest, world)


def _runs(manifest: Manifest, block: Block, world: World) -> Fields:
    pod = template(manifest, block, world)
    pod.container.take("ports", list)  # nobody asks a job
    block.block("spec").take("terminationGracePeriodSeconds", int)
    return pod.fields


def _pieces(spec: Block, manifest: Manifest, world: World) -> Fields:
    """How many Pods: pieces of work that succeed each by itself."""
    completions, parallelism = spec.number("completions"), spec.number("parallelism")
    indexed = spec.text("completionMode") == "Indexed"
    if completions is None and (parallelism or 1) > 1:
        why = "Pods that share a queue of work: each of them must succeed here"
        world.losses.tell(manifest, (*spec.path, "parallelism"), why, "give completions, and let each take its piece")
        completions = parallelism
    if (completions or 1) == 1 and not indexed:
        return {}
    fields: Fields = {"mode": "indexed", "replicas": completions or 1}
    pieces: Fields = {}
    if parallelism is not None and parallelism != completions:
        pieces["parallelism"] = parallelism
    for theirs, ours in (("backoffLimitPerIndex", "retriesPerIndex"), ("maxFailedIndexes", "maxFailed")):
        if (number := spec.number(theirs)) is not None:
            pieces[ours] = number
    rules = spec.block("successPolicy").blocks("rules")
    if rules and (succeeded := rules[0].text("succeededIndexes")):
        pieces["succeeded"] = succeeded
    return fields | ({"indexed": pieces} if pieces else {})
