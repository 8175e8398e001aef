"""Random lives of a home against what must always hold: declared, edited, deleted, failed, killed; and time passes.

The world is that of the fakes, the hub is the real one, and it may die before any call that it makes. What random
lives have found stands in test_found.py, by name. A longer look: ``SHIPWAY_EXAMPLES=2000 pytest THIS_FILE``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shipway.bundle import Observed
from shipway.controllers.updates import find, update
from shipway.errors import NotFound
from shipway.kinds import (
    RETRAIN,
    RETRY,
    Model,
    ModelJob,
    ModelJobSpec,
    ModelService,
    ModelServiceSpec,
    Object,
    ObjectMeta,
    Revision,
    Route,
)
from shipway.traffic import GatewayState
from tests.controllers.mortal import Inline, MortalWorld
from tests.controllers.world import ENVOY

T = TypeVar("T")

EXAMPLES = int(os.environ.get("SHIPWAY_EXAMPLES", "25"))
JOBS = ("cats", "dogs")
SERVICES = ("cats", "dogs", "web")
ENDED = ("Succeeded", "Failed")

UNREACHABLE = GatewayState(False, "Unreachable", "the test says so")
REJECTED = GatewayState(False, "Rejected", "the test says so")


class Life(RuleBasedStateMachine):
    """One home. The model of it: which services have had traffic since they were declared."""

    def __init__(self) -> None:
        super().__init__()
        self.log = logging.getLogger("shipway")
        self.level = self.log.level
        self.log.setLevel(logging.CRITICAL)
        self.folder = tempfile.TemporaryDirectory(prefix="shipway-")
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(Inline(1))
        self.loop.set_exception_handler(lambda loop, context: None)  # of hubs that were killed
        self.world = MortalWorld(Path(self.folder.name))
        self.had_traffic: set[str] = set()
        self.asked = 0

    def play(self, act: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(act)

    def settle(self) -> None:
        self.play(self.world.settle())
        if self.world.dead:
            self.play(self.world.revive())

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            self.log.setLevel(self.level)
            self.play(self.world.stop())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()
            self.folder.cleanup()

    @initialize(running=st.sampled_from((True, True, False)))
    def born(self, running: bool) -> None:
        """Most lives begin where something runs already: few random ones would come so far."""
        self.play(self.world.start())
        if running:
            for name in JOBS:
                self.declare_job(name, c=1, retries=1, cache=True)
            for name in SERVICES:
                self.declare_service(name, edition=1, replicas=1)
            self.gets_on()
            self.gets_on()

    # -- what people do

    def declare(self, cls: type[Object], name: str, spec: Any) -> None:
        present = find(self.world.store, cls, name)
        if present is None:
            self.world.store.put(cls.model_construct(metadata=ObjectMeta(name=name), spec=spec))
        elif present.metadata.deletion_timestamp is None:
            update(self.world.store, cls, name, lambda one: one.model_copy(update={"spec": spec}))
        self.settle()

    @rule(name=st.sampled_from(JOBS), c=st.integers(1, 3), retries=st.integers(0, 1), cache=st.booleans())
    def declare_job(self, name: str, c: int, retries: int, cache: bool) -> None:
        spec = {"command": ["python", "t.py"], "params": {"c": c}, "retries": retries, "cache": cache, "model": name}
        gate = {"evaluate": {"metric": "accuracy", "min": 0.9}} if name == "dogs" else {}
        self.declare(ModelJob, name, ModelJobSpec.model_validate({**spec, **gate}))

    @rule(name=st.sampled_from(SERVICES), edition=st.integers(1, 3), replicas=st.integers(0, 2))
    def declare_service(self, name: str, edition: int, replicas: int) -> None:
        what = {"command": ["serve"]} if name == "web" else {"model": name}
        spec = {**what, "env": {"EDITION": str(edition)}, "replicas": replicas}
        self.declare(ModelService, name, ModelServiceSpec.model_validate(spec))

    @rule(name=st.sampled_from(SERVICES), kind=st.sampled_from((ModelJob, ModelService, Model)))
    def delete(self, name: str, kind: type[Object]) -> None:
        if kind is ModelService:
            self.had_traffic.discard(name)
        try:
            self.world.store.delete(kind.__name__, name)
        except NotFound:
            return
        self.settle()

    @rule(name=st.sampled_from(SERVICES), kind=st.sampled_from((ModelJob, ModelService)))
    def ask_again(self, name: str, kind: type[Object]) -> None:
        self.asked += 1
        note = {(RETRAIN if kind is ModelJob else RETRY): str(self.asked)}

        def noted(one: Object) -> Object:
            return one.model_copy(update={"metadata": one.metadata.model_copy(update={"annotations": note})})

        update(self.world.store, kind, name, noted)
        self.settle()

    # -- what workloads do

    def workloads(self, *phases: str) -> list[Observed]:
        """Not Envoy; in an order that does not hang on uids, which are random."""
        found = [one for one in self.observed() if one.name != ENVOY.name and one.phase in phases]
        return sorted(found, key=lambda one: (one.name.rsplit("-", 3)[0], one.name[-9:]))

    def observed(self) -> tuple[Observed, ...]:
        """All there is, without a turn of the loop in which the hub could do something."""
        looking = self.world.cluster.list()
        try:
            looking.send(None)
        except StopIteration as seen:
            return tuple(seen.value)
        raise AssertionError("the fake waits for nothing")

    @rule(which=st.integers(0, 3), how=st.sampled_from(("start", "good", "good", "bad metric", "exit", "unprepared")))
    def job_moves(self, which: int, how: str) -> None:
        jobs = [one for one in self.workloads("Preparing", "Running") if self.is_job(one.name)]
        if not jobs:
            return
        name, cluster = jobs[which % len(jobs)].name, self.world.cluster
        match how:
            case "start":
                cluster.start(name)
            case "good" | "bad metric":
                accuracy = 0.95 if how == "good" else 0.1
                cluster.write(name, f'\x1eshipway-metrics {{"metrics": {{"accuracy": {accuracy}}}}}')
                cluster.finish(name, output=self.world.output(name))
            case "exit":
                cluster.finish(name, 1)
            case _:
                cluster.fail_preparing(name)
        self.settle()

    @rule(which=st.integers(0, 5), how=st.sampled_from(("ready", "ready", "one", "kill", "hopeless", "unprepared")))
    def server_moves(self, which: int, how: str) -> None:
        servers = [one for one in self.workloads("Preparing", "Running") if not self.is_job(one.name)]
        if not servers:
            return
        one, cluster = servers[which % len(servers)], self.world.cluster
        match how:
            case "ready":
                cluster.set_ready(one.name)
            case "one":
                cluster.set_ready(one.name, 0)
            case "kill" if one.replicas:
                cluster.kill(one.name, which % len(one.replicas))
            case "hopeless" if one.replicas:
                for _ in range(4):
                    cluster.kill(one.name, 0)
            case "unprepared" if one.phase == "Preparing":
                cluster.fail_preparing(one.name)
        self.settle()

    @rule()
    def gets_on(self) -> None:
        """All that runs does what it should, for once."""
        for one in self.workloads("Preparing", "Running"):
            if one in self.observed():  # what one's end caused may have changed the next
                self.ends_well(one)

    @rule(which=st.integers(0, 3))
    def process_ends(self, which: int) -> None:
        """A workload that was deleted: its last process."""
        if stopping := self.workloads("Stopping"):
            self.world.cluster.finish_delete(stopping[which % len(stopping)].name)
            self.settle()

    def is_job(self, workload: str) -> bool:
        return self.world.cluster.workload(workload).mode == "job"

    # -- what else happens

    @rule(seconds=st.sampled_from((0.1, 1.0, 2.0, 61.0, 130.0, 4000.0)))
    def time_passes(self, seconds: float) -> None:
        self.play(self.world.clock.advance(seconds))
        self.settle()

    @rule(outage=st.sampled_from((None, None, UNREACHABLE, REJECTED)))
    def gateway(self, outage: GatewayState | None) -> None:
        self.world.outage(outage)
        self.time_passes(1.0)

    @rule(which=st.integers(0, 3), count=st.integers(0, 2))
    def requests(self, which: int, count: int) -> None:
        revisions = [one.name for one in self.world.store.list("Revision")[0]]
        if revisions:
            self.world.gateway.requests[revisions[which % len(revisions)]] = count

    @rule(call=st.sampled_from(("apply", "pack", "put")))
    def breaks(self, call: str) -> None:
        self.world.broken.add(call)

    @precondition(lambda self: self.world.broken)
    @rule()
    def is_mended(self) -> None:
        self.world.broken.clear()
        self.time_passes(31.0)

    @rule(calls=st.integers(0, 60))
    def is_doomed(self, calls: int) -> None:
        """The hub dies in the middle of what comes next."""
        self.world.doom(calls)

    @rule()
    def restarts(self) -> None:
        self.play(self.world.revive())

    # -- what must hold, always

    @invariant()
    def versions_have_no_gaps_and_no_twins(self) -> None:
        for name in self.world.versions.names():
            listed = self.world.versions.list(name)
            assert [one.number for one in listed] == list(range(1, len(listed) + 1))
            assert len({(one.run, one.fingerprint) for one in listed}) == len(listed)

    @invariant()
    def a_job_has_one_run_under_way(self) -> None:
        for name in JOBS:
            runs = [one.name for one in self.workloads("Preparing", "Running") if one.name.startswith(f"{name}-")]
            runs = [one for one in runs if self.is_job(one)]
            assert len(runs) <= 1, runs

    @invariant()
    def traffic_once_there_stays(self) -> None:
        served = {one.service for one in self.world.gateway.table.routes if one.weights}
        for name in self.had_traffic:
            service = find(self.world.store, ModelService, name)
            assert service is None or name in served, f"{name} lost its traffic"
        self.had_traffic |= {
            one.name
            for one in self.world.store.list("ModelService")[0]
            if one.name in served and one.metadata.deletion_timestamp is None
        }

    @invariant()
    def traffic_goes_to_what_was_ready(self) -> None:
        for route in self.world.store.list("Route")[0]:
            assert isinstance(route, Route)
            for backend in route.spec.backends:
                revision = find(self.world.store, Revision, backend.revision)
                owner = find(self.world.store, ModelService, route.name)
                if owner is not None and owner.metadata.deletion_timestamp is None:
                    assert revision is not None, f"{backend.revision} has traffic and is gone"
                    assert revision.status.phase in ("Ready", "Draining"), backend.revision

    @invariant()
    def the_ledger_is_a_chain(self) -> None:
        entries = self.world.journal.entries(type="ledger", limit=100_000)
        last: dict[str, Any] = {}
        for entry in entries:
            if entry.reason in ("Deleted", "ModelDeleted"):
                last.pop(entry.subject, None)
                continue
            before = entry.data["from"] or None
            assert before == last.get(entry.subject), (entry, last.get(entry.subject))
            assert entry.data["to"] != before, entry
            last[entry.subject] = entry.data["to"]

    # -- and when nothing happens any more

    def come_to_rest(self) -> None:
        world = self.world
        world.broken.clear()
        world.outage(None)
        world.gateway.requests.clear()
        self.settle()
        self.play(world.revive())
        for _ in range(40):
            before = self.state()
            for one in self.workloads("Stopping"):
                world.cluster.finish_delete(one.name)
            self.settle()
            self.gets_on()
            self.time_passes(200.0)
            if self.state() == before:
                break
        else:
            raise AssertionError("it never comes to rest")
        self.rested()

    def ends_well(self, one: Observed) -> None:
        if not self.is_job(one.name):
            if one.phase == "Preparing" or len(one.ready) != len(one.replicas):
                self.world.cluster.set_ready(one.name)
        else:
            self.world.cluster.write(one.name, '\x1eshipway-metrics {"metrics": {"accuracy": 0.95}}')
            self.world.cluster.finish(one.name, output=self.world.output(one.name))
        self.settle()

    def state(self) -> tuple[Any, ...]:
        entries = self.world.journal.entries(limit=1_000_000)
        return self.world.store.list()[1], len(entries), self.observed()

    def rested(self) -> None:
        """The world equals what was declared."""
        objects, _ = self.world.store.list()
        for obj in objects:
            assert obj.metadata.deletion_timestamp is None, f"{obj.key} never goes"
            if isinstance(obj, ModelJob | ModelService | Model):
                assert obj.status.observed_generation == obj.metadata.generation, obj
            if isinstance(obj, ModelJob):
                assert obj.status.phase in ENDED, obj
            if isinstance(obj, ModelService):
                self.service_is_as_declared(obj)
            if isinstance(obj, Model):
                mirrored = [one.number for one in obj.status.versions]
                assert mirrored == [one.number for one in self.world.versions.list(obj.name)]
        self.nothing_is_left_over()
        # A next hub may say once more why a service waits, when something else was said of it since; then it is silent.
        self.play(self.world.revive())
        before = self.state()
        self.play(self.world.revive())
        self.time_passes(4000.0)
        changes = list(self.world.store.watch(before[0]))
        told = self.world.journal.entries(limit=1_000_000)[before[1] :]
        assert not (changes or told), f"a hub that starts at rest writes nothing, and wrote {changes} {told}"
        assert self.state() == before

    def service_is_as_declared(self, service: ModelService) -> None:
        rolled = service.status.condition("RolledOut")
        assert rolled is not None, service
        if rolled.status == "True":
            assert service.status.ready_revision == service.status.latest_revision
            assert service.status.ready_replicas == service.spec.replicas, service
            weights = {one.service: one.weights for one in self.world.gateway.table.routes}
            assert weights[service.name] == ((service.status.ready_revision, 100),)
        elif rolled.status == "False":
            failed = self.world.get(Revision, service.status.latest_revision)
            assert failed.status.phase == "Failed", service
        else:
            assert rolled.reason == "ModelNotAvailable", service
            assert service.spec.model is not None
            model = find(self.world.store, Model, service.spec.model)
            assert model is None or model.version("champion") is None, service

    def nothing_is_left_over(self) -> None:
        services = {one.name for one in self.world.store.list("ModelService")[0]}
        jobs = {one.name: one for one in self.world.store.list("ModelJob")[0]}
        assert {one.name for one in self.world.store.list("Route")[0]} <= services
        revisions = [one for one in self.world.store.list("Revision")[0] if isinstance(one, Revision)]
        assert {one.spec.service for one in revisions} <= services
        named = {one.name for one in revisions}
        for one in self.workloads("Preparing", "Running", "Stopping", *ENDED):
            job = jobs.get(one.name.rsplit("-", 3)[0])
            mine = job is not None and one.name.startswith(f"{job.name}-{job.metadata.uid[:8]}-")
            assert one.name in named or mine, f"{one.name} has no owner"


TestLife = pytest.mark.slow(Life.TestCase)
TestLife.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=30,
    derandomize=EXAMPLES <= 25,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
