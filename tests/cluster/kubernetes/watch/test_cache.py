"""The watch cache: what it holds, whom it tells, and what it does when the server is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from shipway.cluster.kubernetes.api.resources import PODS
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch.cache import Cache
from shipway.cluster.kubernetes.watch.lean import Lean
from shipway.errors import ClusterUnreachable
from shipway.testing.clock import FakeClock
from tests.cluster.kubernetes.api.scripted import Answer, Script, drops, page, pod, refuses, served


class Watched:
    """A cache on a script, and whom it told."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.clock = FakeClock()
        self.cache = Cache(script.api(), PODS, namespace="ml", clock=self.clock, chance=lambda: 0.0)
        self.told: list[tuple[str, str | None]] = []
        self.cache.subscribe(self._take)

    def _take(self, name: str, one: Manifest | None) -> None:
        self.told.append((name, str(one["metadata"]["resourceVersion"]) if one else None))

    @property
    def stale(self) -> bool:
        return self.cache.stale_since is not None or self.cache.failure is not None

    async def until(self, *told: tuple[str, str | None]) -> None:
        """Until so much more was told; that and nothing else, in that order."""
        async with asyncio.timeout(5):
            while len(self.told) < len(told):
                await asyncio.sleep(0.001)
        assert self.told == list(told)
        self.told.clear()

    async def asked(self, times: int) -> None:
        """Until the server got so many requests in all, and the last one was answered."""
        async with asyncio.timeout(5):
            while len(self.script.seen) < times:
                await self.clock.advance(10)
                await asyncio.sleep(0.001)

    @property
    def names(self) -> list[str]:
        return sorted(one["metadata"]["name"] for one in self.cache.items())


def event(type_: str, one: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": one}).encode() + b"\n"


BROKEN = b""


def watch(*lines: bytes) -> Answer:
    """These lines, and then silence; after BROKEN the connection is cut."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            if line == BROKEN:
                assert request.transport
                request.transport.close()
                return response
            await response.write(line)
        await asyncio.Event().wait()
        return response

    return answer


@asynccontextmanager
async def watched(*answers: Answer) -> AsyncIterator[Watched]:
    async with served(*answers) as script:
        made = Watched(script)
        try:
            yield made
        finally:
            await made.cache.close()
            await made.cache._api.close()


def test_what_was_listed_and_what_changes() -> None:
    async def go() -> None:
        changes = watch(
            event("ADDED", pod("c", "11")), event("MODIFIED", pod("a", "12")), event("DELETED", pod("b", "13"))
        )
        async with watched(page(pod("a", "1"), pod("b", "2"), version="10"), changes) as it:
            await it.cache.start()
            await it.until(("a", "1"), ("b", "2"), ("c", "11"), ("a", "12"), ("b", None))
            assert it.names == ["a", "c"]
            assert it.cache.get("b") is None
            assert it.script.seen[1].query["resourceVersion"] == "10"
            assert it.cache.stale_since is None

    asyncio.run(go())


def test_objects_by_a_label_also_when_it_changes() -> None:
    async def go() -> None:
        start = page(pod("a", "1", app="x"), pod("b", "2", app="x"), pod("c", "3"), version="10")
        moved = watch(event("MODIFIED", pod("a", "11", app="y")), event("DELETED", pod("b", "12", app="x")))
        async with watched(start, moved) as it:
            await it.cache.start()
            assert [one["metadata"]["name"] for one in it.cache.by("app", "x")] == ["a", "b"]
            it.told.clear()
            await it.until(("a", "11"), ("b", None))
            assert it.cache.by("app", "x") == ()
            assert [one["metadata"]["name"] for one in it.cache.by("app", "y")] == ["a"]

    asyncio.run(go())


def test_after_a_break_it_goes_on_where_it_was_and_tells_nothing_twice() -> None:
    async def go() -> None:
        first = watch(
            event("MODIFIED", pod("a", "11")), event("BOOKMARK", {"metadata": {"resourceVersion": "15"}}), BROKEN
        )
        again = watch(event("MODIFIED", pod("a", "16")))
        async with watched(page(pod("a", "1"), version="10"), first, drops, refuses(503, "starting"), again) as it:
            await it.cache.start()
            await it.until(("a", "1"), ("a", "11"))
            async with asyncio.timeout(5):
                while it.cache.stale_since is None:
                    await asyncio.sleep(0.001)
            since = it.cache.stale_since
            assert since == it.clock.now()
            assert isinstance(it.cache.failure, ClusterUnreachable)
            assert it.names == ["a"]
            await it.asked(5)
            await it.until(("a", "16"))
            assert not it.stale
            assert {one.query["resourceVersion"] for one in it.script.seen[2:]} == {"15"}

    asyncio.run(go())


def test_it_is_stale_since_the_break_and_not_since_the_last_try() -> None:
    async def go() -> None:
        async with watched(page(version="10"), drops) as it:
            await it.cache.start()
            await it.asked(2)
            async with asyncio.timeout(5):
                while it.cache.stale_since is None:
                    await asyncio.sleep(0.001)
            since = it.cache.stale_since
            await it.asked(6)
            assert it.cache.stale_since == since < it.clock.now()

    asyncio.run(go())


@pytest.mark.parametrize("when", ["at once", "in the stream"])
def test_a_forgotten_version_is_listed_again_and_only_the_difference_is_told(when: str) -> None:
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    gone = watch(event("ERROR", status)) if when == "in the stream" else refuses(410, "too old", "Expired")

    async def go() -> None:
        start = page(pod("a", "1"), pod("b", "2"), pod("c", "3"), version="10")
        later = page(pod("a", "1"), pod("c", "33"), pod("d", "40"), version="50")
        async with watched(start, gone, later, watch(event("ADDED", pod("e", "51")))) as it:
            await it.cache.start()
            await it.until(("a", "1"), ("b", "2"), ("c", "3"))
            await it.asked(4)
            await it.until(("b", None), ("c", "33"), ("d", "40"), ("e", "51"))
            assert it.script.seen[3].query["resourceVersion"] == "50"

    asyncio.run(go())


def test_a_line_that_is_no_event_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        odd = watch(b'{"type": "ADDED", "object": 5}\n')
        async with watched(page(version="10"), odd, page(pod("a", "1"), version="11"), watch()) as it:
            await it.cache.start()
            await it.until(("a", "1"))
            await it.asked(4)

    asyncio.run(go())
    assert "the watch failed" in caplog.text


def test_a_subscriber_that_fails_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    def fails(name: str, one: Manifest | None) -> None:
        raise RuntimeError(name)

    async def go() -> None:
        async with watched(page(pod("a", "1"), version="10"), watch(event("ADDED", pod("b", "11")))) as it:
            it.cache._subscribers.insert(0, fails)
            await it.cache.start()
            await it.until(("a", "1"), ("b", "11"))

    asyncio.run(go())
    assert "a subscriber of pods failed" in caplog.text


def test_who_has_gone_is_not_told() -> None:
    async def go() -> None:
        async with watched(page(pod("a", "1"), version="10"), watch()) as it:
            told: list[str] = []
            leave = it.cache.subscribe(lambda name, one: told.append(name))
            leave()
            await it.cache.start()
            assert told == []

    asyncio.run(go())


def test_a_start_that_fails_can_be_tried_again() -> None:
    async def go() -> None:
        async with watched(*[refuses(503)] * 5, page(pod("a", "1"), version="10"), watch()) as it:
            with pytest.raises(ClusterUnreachable):
                await it.cache.start()
            await it.cache.start()
            assert it.names == ["a"]

    asyncio.run(go())


def test_a_lean_copy_has_no_managed_fields_and_shares_its_words() -> None:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "shipway.dev/hash": "h"}
    text = json.dumps({**pod("a", "1"), "spec": {"containers": [{"env": [{"name": "A", "value": "x" * 500}]}]}})
    first, second = json.loads(text), json.loads(text)
    for one in (first, second):
        one["metadata"].update(managedFields=[{"manager": "kubelet"}], annotations=dict(annotations))
    lean = Lean()
    one, other = lean(first), lean(second)
    assert (
        one
        == other
        == {**json.loads(text), "metadata": {**pod("a", "1")["metadata"], "annotations": {"shipway.dev/hash": "h"}}}
    )
    assert all(mine is yours for mine, yours in zip(one["metadata"], other["metadata"], strict=True))
    assert "managedFields" in first["metadata"]
