"""ModelJob: from a spec to a finished run and, when it names a model, to a version of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway.bundle import Observed
from shipway.controllers.clusters import Clusters
from shipway.controllers.metrics import MetricFollower, metrics_of_file
from shipway.controllers.model import Cause, judge_version, rival_of
from shipway.controllers.recorder import Recorder, subject_of
from shipway.controllers.templates import (
    attempt_of_workload,
    job_workload,
    run_prefix,
    run_workload_name,
    terms_of_job,
)
from shipway.controllers.updates import forced_once, is_leaving, update, with_finalizer, without_finalizer
from shipway.errors import ClusterRefused, EnvironmentFault, ShipwayError, UserError
from shipway.jobs import Decision, Earlier, Platform, Seen, Verdict, components, declared, fingerprint, judge, step
from shipway.kinds import LOCAL, ModelJob, ModelVersion, Run
from shipway.models import Lineage, Versions
from shipway.ports import Clock, Cluster, Store
from shipway.retention import Ended, Retention, surplus

_NO_OUTPUT = "the code ended with 0 and left no file in $SHIPWAY_OUTPUT_DIR: there is nothing to make a version of"


@dataclass(frozen=True, slots=True)
class JobController:
    """Reads a job, asks :func:`shipway.jobs.step`, does what it says, writes the status once."""

    store: Store
    clusters: Clusters
    clock: Clock
    versions: Versions
    platform: Platform
    metrics: MetricFollower
    recorder: Recorder
    retention: Retention = Retention()

    async def reconcile(self, name: str) -> datetime | None:
        """Bring one job nearer to its end."""
        job = update(self.store, ModelJob, name, lambda one: one if is_leaving(one) else with_finalizer(one))
        if job is None:
            return None
        if is_leaving(job):
            await self._remove(job)
            return None
        run = job.status.run
        observed = await self.clusters.of(run.cluster).observe(run_workload_name(run)) if run is not None else None
        present = components(job.spec, self.platform), declared(job.spec, self.platform)
        known, earlier = await asyncio.to_thread(self._known, job, fingerprint(present[0]))
        decision = step(job, Seen(*present, known, observed, earlier), self.clock.now())
        if decision.action not in ("rest", "wait", "run"):
            self._record(job, decision.reason, decision.message, decision.data)
        await self._act(job, decision, observed)
        return decision.wake_at

    def _known(self, job: ModelJob, wanted: str) -> tuple[tuple[ModelVersion, ...], Earlier | None]:
        """The versions that equal runs made; and what the last one was made of, for a job that was deleted since and
        remembers no run."""
        model = job.spec.model
        if model is None:
            return (), None
        known = self.versions.like(model, wanted)
        trained = (one for one in self.versions.newest(model) if one.origin == "job")
        last = next(trained, None) if job.status.run is None else None
        if last is None:
            return known, None
        made = self.versions.lineage(model, last.number)
        written = {"params": made.params, "inputs": made.inputs, "source": made.source}
        return known, Earlier(f"{model}:{last.number}", made.components, written)

    async def _act(self, job: ModelJob, decision: Decision, observed: Observed | None) -> None:
        run, now = decision.run, self.clock.now()
        match decision.action:
            case "start" if run is not None:
                await self._supersede(job, run_workload_name(run))
                self._write(job, lambda one: one.mark_started(run, now))
                await self._run(job, run)
            case "run" | "wait" if run is not None and run.retry_at is None:
                await self._run(job, run)
                self._show(job, run, observed)
            case "retry" if run is not None:
                self._write(job, lambda one: one.mark_retrying(run, decision.message, now))
            case "fail" if run is not None:
                tail, log = (observed.tail, observed.log) if observed else ("", "")
                self._write(job, lambda one: one.mark_failed(run, decision.reason, decision.message, tail, log, now))
            case "pack" if run is not None and observed is not None:
                await self._pack(job, run, observed)
            case "reuse":
                await self._supersede(job, run_workload_name(job.status.run) if job.status.run else "")
                await self._reuse(job, decision)

    async def _run(self, job: ModelJob, run: Run) -> None:
        cluster, workload = self.clusters.of(run.cluster), job_workload(job, run)
        if await cluster.observe(workload.name) is None:
            try:
                await cluster.apply(workload, terms_of_job(job))
            except (UserError, ClusterRefused) as error:
                if cluster is self.clusters.local:
                    raise
                self._not_taken(job, run, error)
                return
            forced_once(self.store, job)
        self.metrics.follow(cluster, workload.name, subject_of(job), workload.name)

    def _not_taken(self, job: ModelJob, run: Run, error: ShipwayError) -> None:
        """The cluster refuses it: somebody has to change something, and waiting mends nothing."""
        reason = error.reason if isinstance(error, ClusterRefused) and error.reason else error.code
        message, now = str(error), self.clock.now()
        self._record(job, reason, message, {"run": run.id, "cluster": run.cluster})
        self._write(job, lambda one: one.mark_failed(run, reason, message, "", "", now))

    def _show(self, job: ModelJob, run: Run, observed: Observed | None) -> None:
        now = self.clock.now()
        if observed is not None and observed.phase == "Preparing":
            making = observed.message or "its files and its environment are being made"
            self._write(job, lambda one: one.mark_under_way("Preparing", making, now))
        elif observed is not None and observed.phase == "Running":
            waits = f": {observed.message}" if observed.message else ""
            message = f"run {run.id}, attempt {run.attempt}{waits}"
            self._write(job, lambda one: one.mark_under_way("Running", message, now))

    async def _pack(self, job: ModelJob, run: Run, observed: Observed) -> None:
        workload, output = run_workload_name(run), Path(observed.output) if observed.output else None
        try:
            logged = await self.metrics.finish(self.clusters.of(run.cluster), workload, subject_of(job), workload)
        except EnvironmentFault as error:  # the gate must not judge by what of the log was read
            self._delayed(job, run, f"its metrics cannot be read yet: {error.message}")
            raise
        metrics = {**(metrics_of_file(output) if output is not None else {}), **logged}
        where = {"environment": observed.environment, "log": observed.log}
        self._write(job, lambda one: one.mark_packing(run, metrics, self.clock.now(), **where))
        if job.spec.model is None:
            self._record(job, "Succeeded", f"run {run.id}", {"run": run.id, "version": None, "metrics": metrics})
            self._succeed(job, None, Verdict("none", "no model is declared"), metrics, "Succeeded", f"run {run.id}")
            return
        if output is None:
            self._no_version(job, run, observed, "NoOutput", _NO_OUTPUT)
            return
        verdict = judge(job.spec.evaluate, metrics, *rival_of(self.store, self.versions, job))
        try:
            version = await asyncio.to_thread(
                self.versions.pack,
                job.spec.model,
                output,
                _lineage(job, run, metrics, verdict, self.clock.now(), lock=observed.lock),
            )
        except UserError as error:
            reason = "OutputRefused" if any(output.iterdir()) else "NoOutput"
            self._no_version(job, run, observed, reason, str(error))
            return
        except EnvironmentFault as error:
            self._delayed(job, run, error.message)
            raise
        reference = f"{job.spec.model}:{version.number}"
        message, data = f"{reference} of run {run.id}", {"run": run.id, "version": reference, "metrics": metrics}
        self._record(job, "Succeeded", message, {**data, "digest": version.digest, "size": version.size})
        await self._promote(job, version, verdict, message)

    def _no_version(self, job: ModelJob, run: Run, observed: Observed, reason: str, message: str) -> None:
        now = self.clock.now()
        self._record(job, reason, message, {"run": run.id, "tail": observed.tail})
        self._write(job, lambda one: one.mark_failed(run, reason, message, observed.tail, observed.log, now))

    def _delayed(self, job: ModelJob, run: Run, message: str) -> None:
        self._record(job, "PackingDelayed", message, {"run": run.id})
        self._write(job, lambda one: one.mark_packing_stuck(message, self.clock.now()))

    async def _reuse(self, job: ModelJob, decision: Decision) -> None:
        version = decision.version
        if version is None:
            verdict = Verdict("none", "no model is declared")
            self._succeed(job, None, verdict, dict(job.status.metrics), "CacheHit", decision.message)
            return
        verdict = judge(
            job.spec.evaluate, version.metrics, *rival_of(self.store, self.versions, job, besides=version.number)
        )
        await self._promote(job, version, verdict, decision.message, cached=True)

    async def _promote(
        self, job: ModelJob, version: ModelVersion, verdict: Verdict, message: str, cached: bool = False
    ) -> None:
        assert job.spec.model is not None
        cause = Cause(
            self.recorder.by(subject_of(job)), job.name, version.run, job.metadata.generation, job.metadata.uid
        )
        now = self.clock.now()
        model, recorder = job.spec.model, self.recorder
        await judge_version(self.store, recorder, self.versions, model, version.number, verdict, cause, now)
        reason = "CacheHit" if cached else "Succeeded"
        reference = f"{job.spec.model}:{version.number}"
        self._succeed(job, reference, verdict, dict(version.metrics), reason, message)

    def _succeed(
        self,
        job: ModelJob,
        version: str | None,
        verdict: Verdict,
        metrics: dict[str, float],
        reason: str,
        message: str,
    ) -> None:
        promoted = verdict.promoted if job.spec.evaluate else None
        if not verdict.promoted:
            reason, message = "GateFailed", f"{version} is kept and not rolled out: {verdict.reason}"
        now = self.clock.now()
        self._write(
            job,
            lambda one: one.mark_succeeded(
                version=version,
                promoted=promoted,
                metrics=metrics,
                reason=reason,
                message=message,
                cached=reason == "CacheHit" or (one.status.cached and not verdict.promoted),
                now=now,
            ),
        )

    def _record(self, job: ModelJob, reason: str, message: str, data: Mapping[str, Any]) -> None:
        # The uid, because generations begin again with a job that was deleted and made anew.
        told = {"job": job.name, "uid": job.metadata.uid, "generation": job.metadata.generation, **data}
        self.recorder.decision(subject_of(job), reason, message, told, once=True)

    def _write(self, job: ModelJob, change: Callable[[ModelJob], ModelJob]) -> None:
        # A spec that was applied meanwhile has its own decision: this one must not claim its generation.
        def guarded(present: ModelJob) -> ModelJob:
            same = present.metadata.uid == job.metadata.uid
            return change(present).observed_at(job.metadata.generation) if same else present

        update(self.store, ModelJob, job.name, guarded)

    async def _runs(self, job: ModelJob) -> list[tuple[Cluster, Observed]]:
        """All attempts of all runs that its clusters know, oldest first, and where each is."""
        prefix, run = run_prefix(job), job.status.run
        places = self.clusters.known([LOCAL, job.spec.cluster, *([run.cluster] if run is not None else [])])
        return sorted(
            [(place, one) for place in places for one in await place.list() if one.name.startswith(prefix)],
            # Not by their times: the clock may have been set back between two runs.
            key=lambda one: attempt_of_workload(one[1].name),
        )

    async def _supersede(self, job: ModelJob, keep: str) -> None:
        """Stop the runs that no longer answer the spec, and forget the oldest of those that have ended."""
        runs, now, rule = await self._runs(job), self.clock.now(), self.retention.runs
        has_ended = {one.name for _, one in runs if one.phase in ("Succeeded", "Failed")}
        stopped = [one.name for _, one in runs if one.name not in has_ended and one.name != keep]
        ended = [Ended(one.name, one.finished_at or now) for _, one in runs if one.name in has_ended]
        forgotten = surplus(ended, rule, now, needed=(keep,))
        for place, one in runs:
            if one.name in (*stopped, *forgotten):
                await place.delete(one.name)
        if forgotten:
            message = f"removed what was left of {', '.join(forgotten)}: {rule.in_words('runs')}"
            data = {"removed": list(forgotten), "ended": len(ended), **asdict(rule)}
            self.recorder.decision(subject_of(job), "Forgotten", message, data)

    async def _remove(self, job: ModelJob) -> None:
        runs = await self._runs(job)
        for place, one in runs:
            await place.delete(one.name)
        if not runs:
            self.recorder.forget(subject_of(job))
            update(self.store, ModelJob, job.name, without_finalizer)


def _lineage(
    job: ModelJob, run: Run, metrics: dict[str, float], verdict: Verdict, now: datetime, *, lock: tuple[str, ...]
) -> Lineage:
    requirements = job.spec.requirements
    return Lineage(
        run=run.id,
        job=job.name,
        fingerprint=run.fingerprint,
        components=run.components,
        params=dict(job.spec.params),
        inputs={name: one.digest or "" for name, one in job.spec.inputs.items()},
        metrics=metrics,
        gate=verdict.gate,
        gate_reason=verdict.reason,
        origin="job",
        created_at=now,
        requirements=requirements if isinstance(requirements, tuple) else (),
        lock=lock,
        source=job.spec.source.digest or "",
    )
