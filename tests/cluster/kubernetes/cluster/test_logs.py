"""Logs that are merged, followed through restarts, new Pods and broken connections, and lose and repeat no line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import pytest

from shipway.bundle import LogLine
from shipway.cluster.kubernetes.logs import Follower, Position, nanoseconds, split
from shipway.cluster.kubernetes.names import Manifest
from shipway.errors import ClusterRefused, ClusterUnreachable, NotFound
from tests.cluster.kubernetes.observe.objects import Json, pod, running, terminated, waiting


class Quick:
    """A clock whose sleepers wake at once."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def steady_since(self) -> datetime:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Node:
    """What kubelets have: per Pod and instance of its container, lines; ``breaks`` cuts streams after so many."""

    def __init__(self, **written: Sequence[str]) -> None:
        self.written = {(name.replace("_", "-"), False): list(lines) for name, lines in written.items()}
        self.breaks: list[int] = []
        self.refuses: list[Exception] = []
        self.asked: list[tuple[str, str | None, int | None]] = []
        self.more: dict[str, list[str]] = {}  # what a follower gets besides
        self.after: Callable[[], None] = lambda: None  # when a stream has ended

    async def logs(
        self,
        pod: str,
        namespace: str,
        container: str,
        *,
        follow: bool = False,
        since_time: datetime | str | None = None,
        tail: int | None = None,
        previous: bool = False,
        timestamps: bool = True,
    ) -> AsyncIterator[bytes]:
        self.asked.append((pod, str(since_time) if since_time else None, tail))
        if self.refuses:
            raise self.refuses.pop(0)
        if (pod, previous) not in self.written:
            raise NotFound("gone")
        if follow:
            self.written[pod, previous] += self.more.pop(pod, [])
        since = nanoseconds(str(since_time)) if since_time else 0
        lines = [
            one for one in self.written[pod, previous] if (nanoseconds(one.partition(" ")[0]) or 0) >= (since or 0)
        ]
        if tail is not None:
            lines = lines[max(0, len(lines) - tail) :]
        cut = self.breaks.pop(0) if follow and self.breaks else None
        for number, line in enumerate(lines):
            if number == cut:
                raise ClusterUnreachable("the connection broke")
            yield line.encode()
            await asyncio.sleep(0)
        if follow:
            self.after()


class Shown:
    """The workload as a watch shows it."""

    def __init__(self, *pods: Json) -> None:
        self.all = list(pods)
        self.over = False
        self.news = asyncio.Event()

    def pods(self) -> Sequence[tuple[int, Manifest]]:
        return list(enumerate(self.all))

    def is_over(self) -> bool:
        return self.over

    async def changed(self) -> None:
        await self.news.wait()
        self.news.clear()

    def end(self) -> None:
        for one in self.all:
            one["status"]["containerStatuses"][0]["state"] = terminated(0)
        self.over = True
        self.news.set()


def at(second: int, nanos: int = 0, text: str = "") -> str:
    return f"2026-01-01T10:00:{second:02}.{nanos:09}Z {text or f'{second}.{nanos}'}"


def job(name: str) -> Json:
    return pod(name, state=running(), server=False)


async def read(node: Node, shown: Shown, *, follow: bool = True, tail: int | None = None) -> list[LogLine]:
    follower = Follower(node, "ml", shown, Quick())
    async with asyncio.timeout(10):
        return [line async for line in follower.lines(tail, follow=follow)]


def texts(lines: Sequence[LogLine]) -> list[str]:
    return [one.text for one in lines]


def test_the_logs_of_all_replicas_are_one_by_time() -> None:
    async def scenario() -> None:
        node = Node(
            a=[at(1, text="one"), at(3, text="three")], b=[at(2, text="two"), at(4, text="\x1eshipway-metrics {}")]
        )
        lines = await read(node, Shown(job("a"), job("b")), follow=False)
        assert [(one.replica, one.text) for one in lines] == [
            (0, "one"),
            (1, "two"),
            (0, "three"),
            (1, "\x1eshipway-metrics {}"),
        ]
        assert {one.stream for one in lines} == {"stdout"}
        assert lines[0].at == datetime(2026, 1, 1, 10, 0, 1, tzinfo=UTC)
        assert texts(await read(node, Shown(job("a"), job("b")), follow=False, tail=2)) == texts(lines)[2:]
        assert await read(node, Shown(job("a"), job("b")), follow=False, tail=0) == []

    asyncio.run(scenario())


@pytest.mark.parametrize("breaks", [[0], [1], [2], [3], [1, 1, 1], [2, 0, 3, 1]])
def test_a_connection_that_breaks_loses_and_repeats_no_line(breaks: list[int]) -> None:
    """Lines of equal time are counted; some of one second are on one side of the break, some on the other."""
    written = [at(1), at(2, 5, "x"), at(2, 5, "x"), at(2, 5, "y"), at(2, 6), at(9), at(9, 1), at(30)]

    async def scenario() -> None:
        node, shown = Node(a=written[:2]), Shown(job("a"))
        node.breaks, node.more = list(breaks), {"a": written[2:]}
        node.after = shown.end
        assert texts(await read(node, shown)) == [one.partition(" ")[2] for one in written]
        assert any(since for _, since, _ in node.asked)

    asyncio.run(scenario())


def test_what_is_written_a_little_out_of_order_is_not_lost() -> None:
    async def scenario() -> None:
        node, shown = Node(a=[at(5, 200, "later")]), Shown(job("a"))
        node.more = {"a": [at(5, 100, "earlier"), at(6)]}
        node.after = shown.end
        assert texts(await read(node, shown)) == ["later", "earlier", "6.0"]

    asyncio.run(scenario())


def test_with_a_tail_nothing_before_it_comes_when_it_is_followed() -> None:
    async def scenario(tail: int, expected: list[str]) -> None:
        node, shown = Node(a=[at(1), at(1, 1), at(1, 2)]), Shown(job("a"))
        node.more, node.after = {"a": [at(2)]}, shown.end
        assert texts(await read(node, shown, tail=tail)) == expected

    asyncio.run(scenario(1, ["1.2", "2.0"]))
    asyncio.run(scenario(0, ["2.0"]))


def test_a_pod_that_comes_later_is_followed_too() -> None:
    async def scenario() -> None:
        node, shown = Node(a=[at(1)], b=[at(2)]), Shown(job("a"))
        shown.all[0]["status"]["containerStatuses"][0]["state"] = terminated(0)
        started = asyncio.create_task(read(node, shown))
        await asyncio.sleep(0.01)
        shown.all.append(job("b"))
        node.after = shown.end
        shown.news.set()
        assert [(one.replica, one.text) for one in await started] == [(0, "1.0"), (1, "2.0")]

    asyncio.run(scenario())


def test_what_a_crashed_container_wrote_comes_before_what_the_next_one_writes() -> None:
    async def scenario() -> None:
        crashed = pod("a", state=running(), last=terminated(1), restarts=1)
        node = Node(a=[at(5, text="again")])
        node.written["a", True] = [at(1, text="first"), at(2, text="boom")]
        assert texts(await read(node, Shown(crashed), follow=False)) == ["first", "boom", "again"]
        del node.written["a", True]  # the node has cleaned up
        assert texts(await read(node, Shown(crashed), follow=False)) == ["again"]

    asyncio.run(scenario())


def test_a_container_that_has_not_begun_is_not_asked() -> None:
    async def scenario() -> None:
        node = Node()
        assert await read(node, Shown(pod("a", state=waiting("ContainerCreating"))), follow=False) == []
        assert node.asked == []

    asyncio.run(scenario())


def test_a_pod_that_goes_meanwhile_ends_its_log() -> None:
    async def scenario() -> None:
        shown = Shown(job("a"), job("b"))
        node = Node(b=[at(1)])
        node.after = shown.end
        assert texts(await read(node, shown)) == ["1.0"]

    asyncio.run(scenario())


def test_no_right_to_read_logs_is_told_also_to_who_follows() -> None:
    async def scenario() -> None:
        node, shown = Node(a=[at(1)]), Shown(job("a"))
        node.refuses = [ClusterUnreachable("away"), ClusterRefused("may not get pods/log")]
        with pytest.raises(ClusterRefused, match="pods/log"):
            await read(node, shown)
        node.refuses = [ClusterUnreachable("away")]
        with pytest.raises(ClusterUnreachable):
            await read(node, shown, follow=False)

    asyncio.run(scenario())


def test_the_log_of_a_pod_that_has_ended_is_waited_for() -> None:
    """Its node is away, or was started a moment ago: no line of it is lost, and it does not end without them."""

    async def scenario() -> None:
        shown = Shown(job("a"))
        shown.end()
        node = Node(a=[at(1), at(2)])
        node.refuses = [ClusterUnreachable("dial tcp: connection refused") for _ in range(9)]
        assert texts(await read(node, shown)) == ["1.0", "2.0"]
        node.refuses = [ClusterUnreachable("dial tcp: connection refused") for _ in range(1000)]
        with pytest.raises(ClusterUnreachable, match="connection refused"):
            await read(node, shown)
        assert len(node.refuses) > 900

    asyncio.run(scenario())


@pytest.mark.parametrize("follow", [True, False])
def test_what_kubelet_says_in_place_of_a_log_is_no_log(follow: bool) -> None:
    async def scenario() -> None:
        shown = Shown(job("a"))
        shown.end()
        node = Node(a=["unable to retrieve container logs for containerd://1"])
        with pytest.raises(ClusterUnreachable, match="Pod a does not give its log: unable to retrieve"):
            await read(node, shown, follow=follow)

    asyncio.run(scenario())


def test_times_have_nine_digits() -> None:
    assert nanoseconds("2026-01-01T00:00:00.123456789Z") == 1767225600_123456789
    assert nanoseconds("2026-01-01T02:00:00.5+02:00") == 1767225600_500000000
    assert nanoseconds("2026-01-01T00:00:00Z") == 1767225600_000000000
    assert nanoseconds("yesterday") is None
    assert nanoseconds("2026-01-01T00:00:00") is None
    assert split(b"unable to retrieve container logs") is None
    assert split(b"2026-01-01T00:00:00Z") == (1767225600_000000000, "")


def test_a_place_in_a_log_holds_a_few_seconds_of_it() -> None:
    position = Position()
    for second in range(1000):
        position.take(second * 10**9)
    assert len(position._known) < 10
    assert position.since() == "1970-01-01T00:16:37Z"
