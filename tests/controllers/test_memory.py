"""A day of virtual time with 100 services and churn: what the hub holds at its end is what it held after some hours.

What the fakes keep for tests (every call, every table) and what lies on the disk of a real home (the ledger, the
change log up to its bound) is cut each hour: it is the hub's own memory that is weighed.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter, deque
from pathlib import Path

import pytest

from shipway.kinds import Model, ModelJob, ModelJobSpec, ModelService, ModelServiceSpec, ObjectMeta
from shipway.retention import Keep, Retention
from shipway.store.notifying import NotifyingStore
from shipway.testing.store import FakeStore
from tests.controllers.mortal import Inline
from tests.controllers.world import ENVOY, World

SERVICES = 100
JOBS = 5
# So small that two hours fill it: from then on what comes must go.
FEW = Keep(newest=2, days=0.0, most=2)
RULES = Retention(journal_rows=50, runs=FEW, revisions=FEW)

Weight = tuple[Counter[str], int, int]


class Day:
    """The world, and what goes on in it; ``hour`` counts."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder, RULES)
        self.world.store = NotifyingStore(FakeStore(self.world.clock.now, retention=500))
        self.hour = 0
        self.names = [""] * SERVICES

    async def pass_(self) -> None:
        """One hour: edits, retrainings, ends of processes, objects that go, and others that come under new names."""
        self.hour += 1
        for index in range(SERVICES):
            if self.hour == 1 or index % 10 == self.hour % 10:
                self.drop(ModelService, self.names[index])
                self.names[index] = f"s{index}-{self.hour}"
                self.declare(ModelService, self.names[index], self.server())
            elif index % 10 == (self.hour + 5) % 10:
                self.declare(ModelService, self.names[index], self.server())
        for index in range(JOBS):
            if self.hour > 1:
                self.drop(ModelJob, f"job-{index}-{self.hour - 1}")
                self.drop(Model, f"job-{index}-{self.hour - 1}")
            # Versions stay for ever unless their model goes: what trains each hour for a day makes none.
            for name, model in ((f"job-{index}-{self.hour}", f"job-{index}-{self.hour}"), (f"steady-{index}", None)):
                spec = ModelJobSpec(command=("python", "t.py"), params={"hour": self.hour}, model=model)
                self.declare(ModelJob, name, spec)
        await self.world.settle()
        for _ in range(2):
            await self.play()
            await self.world.advance(1800.0)
        self.forget()

    def server(self) -> ModelServiceSpec:
        return ModelServiceSpec(command=("serve",), env={"HOUR": str(self.hour)})

    def declare(self, cls: type[ModelJob | ModelService], name: str, spec: ModelJobSpec | ModelServiceSpec) -> None:
        stored = {one.name: one for one in self.world.store.list(cls.__name__)[0]}.get(name)
        if stored is None:
            self.world.store.put(cls(metadata=ObjectMeta(name=name), spec=spec))  # type: ignore[arg-type]
        elif stored.metadata.deletion_timestamp is None:
            self.world.store.put(stored.model_copy(update={"spec": spec}))

    def drop(self, cls: type[ModelJob | ModelService | Model], name: str) -> None:
        if name in {one.name for one in self.world.store.list(cls.__name__)[0]}:
            self.world.store.delete(cls.__name__, name)

    async def play(self) -> None:
        """Every workload gets on; one server in three has been killed before."""
        cluster = self.world.cluster
        for number, one in enumerate(await cluster.list()):
            if one.name == ENVOY.name or one.phase not in ("Preparing", "Running"):
                continue
            if cluster.workload(one.name).mode == "server":
                if one.replicas and number % 3 == 0:
                    cluster.kill(one.name)
                cluster.set_ready(one.name)
            elif number % 4:
                cluster.write(one.name, '\x1eshipway-metrics {"metrics": {"accuracy": 0.9}}')
                cluster.finish(one.name, output=self.world.output(one.name))
            else:
                cluster.finish(one.name, 1)
        await self.world.settle()

    def forget(self) -> None:
        """What is on a disk, or is a fake's memory for tests."""
        world = self.world
        world.cluster.applied.clear()
        world.cluster.deleted.clear()
        del world.gateway.tables[:-1]
        world.journal._entries[:] = [one for one in world.journal._entries if one.type != "ledger"]


def weigh() -> Weight:
    """Live objects of our own and of asyncio by type, all that containers hold together, and open descriptors."""
    gc.collect()
    live = gc.get_objects()
    ours = Counter(
        type(one).__qualname__ for one in live if str(type(one).__module__).startswith(("shipway", "_asyncio"))
    )
    held = sum(len(one) for one in live if isinstance(one, dict | list | set | deque))
    return ours, held, len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_day_of_churn_leaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def life() -> tuple[Weight, Weight]:
        asyncio.get_running_loop().set_default_executor(Inline(1))
        day = Day(tmp_path)
        await day.world.start()
        early = weigh()
        while day.hour < 24:
            await day.pass_()
            if day.hour == 12:  # by then every service was edited and replaced once, and what is bounded is full
                early = weigh()
        late = weigh()
        await day.world.stop()
        return early, late

    caplog.set_level(logging.CRITICAL, logger="shipway")
    (before, held_before, files_before), (after, held_after, files_after) = asyncio.run(life())
    grown = {name: (before[name], count) for name, count in after.items() if count > 1.05 * before[name] + 10}
    assert grown == {}
    assert held_after < 1.03 * held_before, (held_before, held_after)
    assert files_after <= files_before
