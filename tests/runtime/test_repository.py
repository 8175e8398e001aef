"""Several models in one server: what is loaded, what answers by default, what leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.calls import Answer, Call
from shipway.runtime.server.catalog import Place, catalog
from shipway.runtime.server.engine.executor import Description, Done, Stream
from shipway.runtime.server.memory import Resident, leaving
from shipway.runtime.server.observe.metrics import ModelMetrics
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.repository import Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings
from shipway.runtime.server.state import State


class Instant:
    """An executor that answers at once with the text that it was made with."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._stopped = False
        self.idle = 1

    def has_stopped(self) -> bool:
        return self._stopped

    async def start(self) -> Description:
        return Description("test")

    def on_idle(self, wake: Callable[[], None]) -> None: ...

    def at_once(self, call: Call) -> Answer:
        raise NotImplementedError

    def run(self, call: Call, done: Done) -> None:
        done(Answer({"text": np.array([self.text], dtype=object)}))

    def stream(self, call: Call) -> Stream:
        raise NotImplementedError

    async def stop(self) -> None:
        self._stopped = True


class World:
    """A repository over a dict of models, whose loads are seen, held up and broken."""

    def __init__(self, models: dict[str, list[str]], budget: int = 0, sizes: Mapping[str, int] | None = None) -> None:
        self.models = models
        self.sizes = sizes or {}
        self.loads: list[str] = []
        self.executors: dict[str, Instant] = {}
        self.broken: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.state = State()
        self.repository = Repository(self.state, self.scan, self.open, budget)

    def scan(self) -> dict[str, tuple[Place, ...]]:
        return {
            name: tuple(Sized(name, version, self.sizes.get(name, 1)) for version in versions)
            for name, versions in self.models.items()
        }

    async def open(self, place: Place) -> ServedModel:
        key = f"{place.name}:{place.version}"
        self.loads.append(key)
        await self.gate.wait()
        if key in self.broken:
            raise ModelRefused(f"{key} is damaged")
        executor = self.executors[key] = Instant(key)
        return ServedModel(
            place.name, place.version, executor, await executor.start(), ModelMetrics(place.name, place.version)
        )

    async def ask(self, name: str, version: str | None = None) -> str:
        served = await self.repository.acquire(name, version)
        try:
            return str((await served.infer(Call({}))).outputs["text"][0])
        finally:
            served.release()


class Sized(Place):
    """A place whose files have that many bytes."""

    def __init__(self, name: str, version: str, size: int) -> None:
        super().__init__(name, version, None)
        object.__setattr__(self, "_size", size)

    @property
    def size(self) -> int:
        return int(self._size)  # type: ignore[attr-defined]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def reason(refused: pytest.ExceptionInfo[Refused]) -> Reason:
    return refused.value.reason


def test_the_newest_version_answers_and_others_are_not_loaded() -> None:
    async def test() -> None:
        world = World({"cats": ["2", "1"], "dogs": ["7"]})
        with pytest.raises(Refused, match="model 'cats' is not ready: the model is being loaded"):
            await world.ask("cats")
        await world.repository.start()
        assert world.loads == ["cats:2", "dogs:7"]
        assert [await world.ask("cats"), await world.ask("cats", "2"), await world.ask("dogs")] == [
            "cats:2",
            "cats:2",
            "dogs:7",
        ]
        with pytest.raises(Refused, match="version 1 is not loaded") as old:
            await world.ask("cats", "1")
        assert reason(old) is Reason.UNAVAILABLE and old.value.retry_after
        for name, version, words in (("mice", None, "has 'cats', 'dogs'"), ("cats", "9", "has '2', '1'")):
            with pytest.raises(Refused, match=words) as unknown:
                await world.ask(name, version)
            assert reason(unknown) is Reason.NOT_FOUND
        assert world.repository.versions("cats") == ["2"]
        assert [world.repository.is_ready("cats"), world.repository.is_ready("cats", "1")] == [True, False]

    run(test())


def test_a_new_version_takes_over_while_the_old_one_answers_what_it_has() -> None:
    async def test() -> None:
        world = World({"cats": ["1"]})
        await world.repository.start()
        holder = await world.repository.acquire("cats")
        world.models["cats"] = ["2", "1"]
        world.gate.clear()
        loading = asyncio.create_task(world.repository.load("cats"))
        await asyncio.sleep(0)
        assert await world.ask("cats") == "cats:1", "the old one answers while the new one loads"
        assert world.repository.index()[0] == {"name": "cats", "version": "2", "state": "LOADING", "reason": ""}
        world.gate.set()
        await loading
        assert await world.ask("cats") == "cats:2"
        assert (await holder.infer(Call({}))).outputs["text"][0] == "cats:1", "who had the old one keeps it"
        assert not world.executors["cats:1"].has_stopped()
        holder.release()
        await asyncio.sleep(0.01)
        assert world.executors["cats:1"].has_stopped()
        assert [row["state"] for row in world.repository.index()] == ["READY", "UNAVAILABLE"]

    run(test())


def test_loading_again_does_nothing_and_going_back_is_a_load() -> None:
    async def test() -> None:
        world = World({"cats": ["2", "1"]})
        await world.repository.start()
        await world.repository.load("cats")
        assert world.loads == ["cats:2"]
        await world.repository.load("cats", "1")
        assert await world.ask("cats") == "cats:1"
        assert world.repository.versions("cats") == ["1"]

    run(test())


def test_a_version_that_does_not_load_changes_nothing() -> None:
    async def test() -> None:
        world = World({"cats": ["1"]})
        await world.repository.start()
        world.models["cats"] = ["2", "1"]
        world.broken.add("cats:2")
        with pytest.raises(Refused, match="cats:2 cannot be served: cats:2 is damaged") as refused:
            await world.repository.load("cats")
        assert reason(refused) is Reason.INVALID
        assert await world.ask("cats") == "cats:1"
        world.broken.clear()
        await world.repository.load("cats")
        assert await world.ask("cats") == "cats:2"

    run(test())


def test_unloaded_is_refused_until_it_is_loaded() -> None:
    async def test() -> None:
        world = World({"cats": ["1"], "dogs": ["1"]}, budget=10)
        await world.repository.start()
        assert await world.ask("cats") == "cats:1"
        await world.repository.unload("cats")
        await world.repository.unload("cats")
        with pytest.raises(Refused, match="version 1 is not loaded"):
            await world.ask("cats")
        assert await world.ask("dogs") == "dogs:1"
        assert [row["name"] for row in world.repository.index(ready=True)] == ["dogs"]
        await world.repository.load("cats")
        assert await world.ask("cats") == "cats:1"

    run(test())


def test_a_budget_loads_on_demand_and_the_least_recently_used_leaves() -> None:
    async def test() -> None:
        gigabyte = 2**30  # so that what the process itself grows by does not matter
        sizes = {"a": 4 * gigabyte, "b": 4 * gigabyte, "c": 4 * gigabyte, "huge": 11 * gigabyte}
        world = World({name: ["1"] for name in sizes}, budget=10 * gigabyte, sizes=sizes)
        await world.repository.start()
        assert world.loads == []
        assert world.repository.is_ready("a"), "asking for it will do"
        for name in ("a", "b", "a", "c"):
            assert await world.ask(name) == f"{name}:1"
        assert {one.name for one in world.repository.served()} == {"a", "c"}
        assert world.executors["b:1"].has_stopped()
        with pytest.raises(Refused, match="huge:1 takes 11811160064 bytes at least, and memoryBudget is"):
            await world.ask("huge")
        assert {one.name for one in world.repository.served()} == {"a", "c"}, "nobody leaves for what cannot fit"

    run(test())


def test_a_model_that_is_alone_is_loaded_at_the_start_whatever_the_budget() -> None:
    async def test() -> None:
        world = World({"a": ["2", "1"]}, budget=2**40)
        await world.repository.start()
        assert world.loads == ["a:2"]
        assert await world.ask("a", "1") == "a:1"
        small = World({"a": ["1"]}, budget=10, sizes={"a": 11})
        with pytest.raises(ModelRefused, match="a:1 takes 11 bytes at least, and memoryBudget is 10"):
            await small.repository.start()
        assert not small.state.ready

    run(test())


def test_one_load_for_many_callers_and_it_survives_them() -> None:
    async def test() -> None:
        world = World({"a": ["1"], "b": ["1"]}, budget=2**40)
        await world.repository.start()
        world.gate.clear()
        callers = [asyncio.create_task(world.ask("a")) for _ in range(5)]
        await asyncio.sleep(0)
        for caller in callers[:4]:
            caller.cancel()
        world.gate.set()
        assert await callers[4] == "a:1"
        assert world.loads == ["a:1"]

    run(test())


def test_who_waits_for_a_model_gets_it_even_when_the_next_one_wants_its_room() -> None:
    async def test() -> None:
        gigabyte = 2**30
        world = World({"a": ["1"], "b": ["1"]}, budget=6 * gigabyte, sizes={"a": 4 * gigabyte, "b": 4 * gigabyte})
        await world.repository.start()
        answers = await asyncio.gather(*[world.ask(name) for name in ("a", "b", "a", "b")])
        assert answers == ["a:1", "b:1", "a:1", "b:1"]

    run(test())


def test_a_load_that_is_taken_back_is_told_to_who_waits_for_it() -> None:
    async def test() -> None:
        world = World({"a": ["1"], "b": ["1"]}, budget=2**40)
        await world.repository.start()
        world.gate.clear()
        asking = asyncio.create_task(world.ask("a"))
        while not world.loads:
            await asyncio.sleep(0)
        await world.repository.unload("a")
        with pytest.raises(Refused, match="version 1 is not loaded") as refused:
            await asking
        assert reason(refused) is Reason.UNAVAILABLE
        world.gate.set()
        assert [one.name for one in world.repository.served()] == []

    run(test())


def test_those_that_leave_together_may_be_unloaded_meanwhile() -> None:
    async def test() -> None:
        gigabyte = 2**30
        sizes = {"a": 3 * gigabyte, "b": 3 * gigabyte, "c": 6 * gigabyte}
        world = World({name: ["1"] for name in sizes}, budget=7 * gigabyte, sizes=sizes)
        await world.repository.start()
        held = await world.repository.acquire("a")
        await world.ask("b")
        asking = asyncio.create_task(world.ask("c"))
        for _ in range(10):
            await asyncio.sleep(0)
        await world.repository.unload("a")
        await world.repository.unload("b")
        held.release()
        assert await asking == "c:1"

    run(test())


def test_a_model_that_came_after_the_start_can_be_loaded() -> None:
    async def test() -> None:
        world = World({"a": ["1"]})
        await world.repository.start()
        world.models["new"] = ["2", "1"]
        await world.repository.load("new", "1")
        assert await world.ask("new") == "new:1"
        await world.repository.load("new")
        assert await world.ask("new") == "new:2"

    run(test())


def test_what_failed_on_demand_is_not_tried_by_every_request() -> None:
    async def test() -> None:
        world = World({"a": ["1"], "b": ["1"]}, budget=2**40)
        await world.repository.start()
        world.broken.add("a:1")
        for _ in range(3):
            with pytest.raises(Refused, match="a:1 is damaged") as refused:
                await world.ask("a")
            assert reason(refused) is Reason.UNAVAILABLE
        assert world.loads == ["a:1"]
        assert world.repository.index()[0]["reason"] == "a:1 is damaged"

    run(test())


def test_the_end_waits_for_requests() -> None:
    async def test() -> None:
        world = World({"cats": ["1"]})
        await world.repository.start()
        held = await world.repository.acquire("cats")
        world.state.drain()
        end = asyncio.create_task(world.repository.stop())
        await asyncio.sleep(0.01)
        assert not end.done()
        held.release()
        await end
        assert world.executors["cats:1"].has_stopped()
        with pytest.raises(Refused, match="shutting down"):
            await world.ask("cats")

    run(test())


def test_who_leaves() -> None:
    residents = [Resident("new", 4, 9, False), Resident("old", 4, 1, False), Resident("held", 4, 0, True)]
    assert leaving(residents, 1, 0) == []
    assert leaving(residents, 3, 15) == []
    assert leaving(residents, 4, 12) == ["old"]
    assert leaving(residents, 5, 12) == ["old", "new"]
    assert leaving(residents, 12, 12) == ["old", "new", "held"]
    assert leaving(residents, 13, 12) is None


def test_a_folder_of_models(tmp_path: Path) -> None:
    for folder in ("cats/1", "cats/10", "cats/2", "cats/draft", ".git/1", "empty", "dogs/3"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "cats/10/model.onnx").write_bytes(b"12345")
    found = catalog(Settings(models_dir=tmp_path))
    assert {name: [one.version for one in places] for name, places in found.items()} == {
        "cats": ["10", "2", "1"],
        "dogs": ["3"],
    }
    assert found["cats"][0].size == 5
    with pytest.raises(ModelRefused, match="holds no model: expected NAME/VERSION/files"):
        catalog(Settings(models_dir=tmp_path / "empty"))
    with pytest.raises(ModelRefused, match="No such file"):
        catalog(Settings(models_dir=tmp_path / "nowhere"))
