"""The models of this server: which are loaded, which answers by default, and how one takes another's place.

Source: Open Inference Protocol v2, "Model Versioning"; Triton's "Model Repository Extension" (index, load, unload).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.catalog import Catalog, Place
from shipway.runtime.server.memory import Resident, leaving
from shipway.runtime.server.refusals import NotServing, Reason, Refused
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.state import State

Open = Callable[[Place], Awaitable[ServedModel]]
Key = tuple[str, str]

_HANDED_OVER = 0.1  # seconds in which those who waited for a model get hold of it
_FAILED_FOR = 10.0  # seconds that a model which could not be loaded on demand is not tried again


class Repository:
    """Models by name and version. Lives on the event loop.

    Without a budget the newest version of each model is loaded at the start, and others by :meth:`load`. With one, each
    is loaded when it is first asked for, and the least recently used leave; only a model that is alone is loaded at the
    start, so that a replica that cannot serve it never gets ready.
    """

    def __init__(self, state: State, scan: Callable[[], Catalog], open_: Open, budget: int = 0) -> None:
        self._state = state
        self._scan = scan
        self._catalog = scan()
        self._open = open_
        self._budget = budget
        self._loaded: dict[Key, ServedModel] = {}
        self._answers: dict[tuple[str, str | None], ServedModel] = {}  # with None: the default version
        self._default = {name: places[0].version for name, places in self._catalog.items()}
        self._unloaded: set[str] = set()  # by an administrator: not loaded on demand
        self._failed: dict[Key, tuple[str, float]] = {}
        self._coming: dict[Key, asyncio.Task[ServedModel]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()  # memory is measured around a load
        self._uses = 0

    async def start(self) -> None:
        """Load what is loaded from the start. Raises ModelRefused."""
        if not self._budget or len(self._catalog) == 1:
            for places in self._catalog.values():
                await self._bring(places[0])
        self._state.loaded()

    def names(self) -> list[str]:
        """All models that can be asked for."""
        return list(self._catalog)

    def versions(self, name: str) -> list[str]:
        """Its versions that can be asked for, the default one first. Raises Refused NOT_FOUND."""
        default = self._place(name, None).version
        others = [one.version for one in self._catalog[name] if self._reachable(one)]
        return [default, *(version for version in others if version != default)]

    def is_ready(self, name: str, version: str | None = None) -> bool:
        """Whether it answers now. Raises Refused NOT_FOUND."""
        place = self._place(name, version)
        return self._state.ready and ((name, place.version) in self._loaded or self._on_demand(place))

    def at_hand(self, name: str, version: str | None = None) -> ServedModel | None:
        """As :meth:`acquire`, for what is loaded; None for what would have to be, or does not answer."""
        served = self._answers.get((name, version))
        if served is None:
            return None
        self._uses += 1
        served.used = self._uses
        return served.hold()

    async def acquire(self, name: str, version: str | None = None) -> ServedModel:
        """The version asked for (None: the default), held: release it. Raises Refused: NOT_FOUND, UNAVAILABLE.

        With a memory budget it may have to be loaded first; whoever does not want to wait cancels.
        """
        served = self.at_hand(name, version)
        if served is not None:
            return served
        served = await self._on_call(self._place(name, version))
        self._uses += 1
        served.used = self._uses
        return served.hold()

    def index(self, *, ready: bool = False) -> list[dict[str, Any]]:
        """``{name, version, state, reason}`` of every version on disk; with ``ready``, of those that answer."""
        rows = [self._row(place) for places in self._catalog.values() for place in places]
        return [row for row in rows if row["state"] == "READY"] if ready else rows

    async def load(self, name: str, version: str | None = None) -> None:
        """Load a version (None: the newest on disk), and make it the default; the one before leaves when its requests
        are answered. Loading what is loaded does nothing. Raises Refused: NOT_FOUND, INVALID with the reason."""
        self._catalog = self._scan()
        self._place(name, None)  # a model that came after the start has a default from now on
        newest = self._catalog[name][0].version if name in self._catalog else None
        place = self._place(name, version or newest)
        try:
            await self._bring(place)
        except ModelRefused as refusal:
            raise Refused(Reason.INVALID, f"{name}:{place.version} cannot be served: {refusal}") from refusal
        self._unloaded.discard(name)
        self._make_default(place)

    async def unload(self, name: str) -> None:
        """Answer its requests under way, and refuse new ones until it is loaded again. Raises Refused NOT_FOUND."""
        self._place(name, None)
        self._unloaded.add(name)
        for key, coming in self._coming.items():
            if key[0] == name:
                coming.cancel()
        for key in [key for key in self._loaded if key[0] == name]:
            self._retire(key)

    async def stop(self) -> None:
        """Wait for every request, then end all."""
        for task in self._coming.values():
            task.cancel()
        for key in list(self._loaded):
            self._retire(key)
        await asyncio.gather(*self._leaving)

    def served(self) -> list[ServedModel]:
        """What is loaded now."""
        return list(self._loaded.values())

    async def _on_call(self, place: Place) -> ServedModel:
        key = (place.name, place.version)
        if not self._on_demand(place):
            raise self._unavailable(place)
        try:
            return await self._come(place)
        except ModelRefused as refusal:
            self._failed[key] = (str(refusal), time.monotonic() + _FAILED_FOR)
            raise self._unavailable(place) from refusal

    async def _bring(self, place: Place) -> ServedModel:
        served = self._loaded.get((place.name, place.version))
        return served if served is not None else await self._come(place)

    async def _come(self, place: Place) -> ServedModel:
        """Raises ModelRefused, and Refused UNAVAILABLE where the load is taken back."""
        coming = self._begin(place)
        try:
            return await asyncio.shield(coming)
        except asyncio.CancelledError:
            if not coming.cancelled():
                raise
            raise self._unavailable(place) from None

    def _begin(self, place: Place) -> asyncio.Task[ServedModel]:
        """One load of a version at a time, however many ask for it; it goes on when they go away."""
        key = (place.name, place.version)
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.create_task(self._load(place))
            task.add_done_callback(lambda done: self._has_come(key, done))
        return task

    def _has_come(self, key: Key, task: asyncio.Task[ServedModel]) -> None:
        del self._coming[key]
        if not task.cancelled():
            task.exception()  # seen, even when everybody who asked has gone away

    async def _load(self, place: Place) -> ServedModel:
        async with self._one_at_a_time:
            await self._make_room(place.size, f"{place.name}:{place.version}")
            before = resident_bytes()
            served = await self._open(place)
            served.size = max(place.size, resident_bytes() - before)
            key = (place.name, place.version)
            self._loaded[key] = self._answers[key] = served
            if self._budget:  # else another model's load may have it leave before anybody who waits has got it
                asyncio.get_running_loop().call_later(_HANDED_OVER, served.hold().release)
            if self._default[place.name] == place.version:
                self._answers[place.name, None] = served
            self._failed.pop(key, None)
            return served

    async def _make_room(self, needed: int, for_whom: str) -> None:
        residents = [Resident(key, one.size, one.used, one.held) for key, one in self._loaded.items()]
        keys = leaving(residents, needed, self._budget)
        if keys is None:
            raise ModelRefused(f"{for_whom} takes {needed} bytes at least, and memoryBudget is {self._budget}")
        if keys:
            # All at once: until the first has ended, somebody may have unloaded the second. And a load that is
            # cancelled takes none of these ends with it.
            await asyncio.wait([self._retire(key) for key in keys])

    def _make_default(self, place: Place) -> None:
        before = (place.name, self._default[place.name])
        self._default[place.name] = place.version
        served = self._loaded.get((place.name, place.version))
        if served is not None:  # else it has left already, for another one's room
            self._answers[place.name, None] = served
        if before != (place.name, place.version) and before in self._loaded:
            self._retire(before)

    def _retire(self, key: Key) -> asyncio.Task[None]:
        """Nobody finds it any more; it ends when nobody holds it."""
        served = self._loaded.pop(key)
        self._answers = {asked: one for asked, one in self._answers.items() if one is not served}
        task = asyncio.create_task(served.stop())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    def _place(self, name: str, version: str | None) -> Place:
        places = self._catalog.get(name)
        if not places:
            known = ", ".join(map(repr, self._catalog))
            raise Refused(Reason.NOT_FOUND, f"unknown model {name!r}: this server has {known}")
        wanted = version if version is not None else self._default.setdefault(name, places[0].version)
        found = next((place for place in places if place.version == wanted), None)
        if found is None:
            known = ", ".join(repr(place.version) for place in places)
            raise Refused(Reason.NOT_FOUND, f"unknown version {wanted!r} of model {name!r}: this server has {known}")
        return found

    def _on_demand(self, place: Place) -> bool:
        """Whether asking for it loads it: not what an administrator unloaded, nor what has just failed."""
        failed = self._failed.get((place.name, place.version))
        waits = failed is not None and time.monotonic() < failed[1]
        return bool(self._budget) and self._state.ready and place.name not in self._unloaded and not waits

    def _reachable(self, place: Place) -> bool:
        return (place.name, place.version) in self._loaded or self._on_demand(place)

    def _unavailable(self, place: Place) -> Refused:
        failed = self._failed.get((place.name, place.version))
        if not self._state.ready:
            return NotServing(f"model {place.name!r} is not ready: {self._state.phase.value}")
        why = failed[0] if failed is not None else f"version {place.version} is not loaded"
        return Refused(Reason.UNAVAILABLE, f"model {place.name!r} is not ready: {why}", retry_after=1.0)

    def _row(self, place: Place) -> dict[str, Any]:
        key = (place.name, place.version)
        row = {"name": place.name, "version": place.version}
        if key in self._loaded:
            return row | {"state": "READY", "reason": ""}
        if key in self._coming:
            return row | {"state": "LOADING", "reason": ""}
        reason = self._failed[key][0] if key in self._failed else "unloaded" if place.name in self._unloaded else ""
        return row | {"state": "UNAVAILABLE", "reason": reason}


def resident_bytes() -> int:
    """Memory of this process and its workers now; 0 where the system does not say.

    Source: proc(5), /proc/pid/task/tid/children; /proc/pid/statm, second field, in pages.
    """
    pages = 0
    with contextlib.suppress(OSError):
        pages += _resident_pages("self")
        for worker in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            pages += _resident_pages(worker)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _resident_pages(pid: str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
