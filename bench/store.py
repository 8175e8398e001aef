"""The store with 10,000 objects, in this process and as clients reach it: through a hub's socket."""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.home import home
from bench.quiet_hub import served
from bench.report import Figure
from shipway import home as keep
from shipway.client import HubClient
from shipway.clock import wall
from shipway.database import Database
from shipway.kinds import API_VERSION, ModelJob, Route
from shipway.settings import Settings
from shipway.store.sqlite import CHANGES, MIGRATIONS, SqliteStore
from shipway.store.sqlite import OBJECTS as OBJECTS_TABLE
from shipway.testing.store import FakeStore

OBJECTS = 10_000
WATCHERS = 20
WRITES = 300  # of one round
API = f"/apis/{API_VERSION}"
JOBS = f"{API}/{ModelJob.plural}"


def store(repeat: int) -> Iterator[Figure]:
    """List, put and watch, each through the hub; and before that what the store alone takes."""
    with home() as place:
        where = Settings(place.path)
        keep.own(where)
        yield from _alone(where, repeat)
        with served(where) as client:
            yield from _through_the_hub(where.hub_socket, client, repeat)


def _through_the_hub(path: Path, client: HubClient, repeat: int) -> Iterator[Figure]:
    listing = _rounds(lambda: _timed(lambda: _read(path, JOBS)), repeat)
    yield Figure(f"list of {OBJECTS:,} objects as raw JSON, through the hub", "ms", listing, 100)
    puts = _rounds(lambda: _p99(_put(client, number)[1] for number in range(WRITES)), repeat)
    yield Figure(f"put beside {OBJECTS:,} objects, through the hub, p99 of {WRITES}", "ms", puts, 10)
    with ExitStack() as stack:
        watchers = Watchers(path, _version(client), stack)
        fan_out = _rounds(lambda: _p99(watchers.latency(client, number) for number in range(WRITES)), repeat)
    yield Figure(f"put to the last of {WATCHERS} watchers, through the hub, p99 of {WRITES}", "ms", fan_out, 20)


def _alone(where: Settings, repeat: int) -> Iterator[Figure]:
    _fill(where.store)

    def first_read() -> float:
        with closing(SqliteStore(where.store, wall)) as fresh:
            return _timed(fresh.list)

    opening = _rounds(lambda: _timed(lambda: _opened(where.store)), repeat)
    yield Figure(f"open and check a store of {OBJECTS:,} objects", "ms", opening)
    yield Figure(f"first list of {OBJECTS:,} objects in the hub's process", "ms", _rounds(first_read, repeat))
    with closing(SqliteStore(where.store, wall)) as warm:
        yield Figure("a later list", "ms", _rounds(lambda: _timed(warm.list), repeat))


def _fill(path: Path) -> None:
    """As 10,000 puts would, in one transaction: those would take a minute of waiting for the disk."""
    jobs = FakeStore(wall)
    for number in range(OBJECTS):
        jobs.put(_job(number))
    with closing(Database(path, MIGRATIONS)) as file, file.write() as connection:
        for one in jobs.watch(0):
            connection.execute(OBJECTS_TABLE.insert, OBJECTS_TABLE.sealed(*one.object.key, one.text))
            connection.execute(CHANGES.insert, CHANGES.sealed(one.version, one.type, one.object.kind, one.text))


def _opened(path: Path) -> None:
    SqliteStore(path, wall).close()


class Watchers:
    """Connections that follow all jobs. They are read by one thread, so that they do not wait for each other."""

    def __init__(self, path: Path, since: int, stack: ExitStack) -> None:
        self._selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(WATCHERS):
            watcher = stack.enter_context(socket.socket(socket.AF_UNIX))
            watcher.connect(str(path))
            watcher.sendall(f"GET {JOBS}?watch=true&since={since} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self._selector.register(watcher, selectors.EVENT_READ)

    def latency(self, client: HubClient, number: int) -> float:
        """Milliseconds from the beginning of a put until each watcher has read its event."""
        version, put = _put(client, number)
        start = time.perf_counter()
        wanted = f"id: {version}\n".encode()
        received: dict[Any, bytes] = {}
        done: set[Any] = set()
        while len(done) < WATCHERS:
            for key, _ in self._selector.select(timeout=10):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                received[connection] = received.get(connection, b"") + connection.recv(1 << 20)
                if wanted in received[connection]:
                    done.add(connection)
        return put + (time.perf_counter() - start) * 1e3


def _job(number: int) -> ModelJob:
    """A job that ended long ago: the hub looks at it once and leaves it alone."""
    return ModelJob.model_validate(
        {
            "metadata": {"name": f"job-{number:05}", "labels": {"team": "vision"}},
            "spec": {"command": ["python", "train.py"], "params": {"epochs": 20, "rate": 0.01}, "timeout": "1h"},
            "status": {"phase": "Succeeded", "metrics": {"loss": 0.0312, "accuracy": 0.981}, "tail": "epoch 20\n" * 20},
        }
    )


def _put(client: HubClient, number: int) -> tuple[int, float]:
    """Change one object; its new version, and the milliseconds of the put without the read before it."""
    path = f"{JOBS}/job-{number * 31 % OBJECTS:05}"
    found = client.get(path)
    found["metadata"]["labels"]["written"] = str(time.perf_counter_ns())
    start = time.perf_counter()
    version = int(client.put(path, found)["metadata"]["resourceVersion"])
    return version, (time.perf_counter() - start) * 1e3


def _version(client: HubClient) -> int:
    return int(client.get(f"{API}/{Route.plural}")["resourceVersion"])


def _read(path: Path, target: str) -> bytes:
    connection = HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    with closing(connection):
        connection.request("GET", target)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200 or content.count(b'"kind":"ModelJob"') != OBJECTS:
        raise SystemExit(f"{target}: {answer.status} {content[:300]!r}")
    return content


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1e3


def _rounds(measure: Callable[[], float], repeat: int) -> tuple[float, ...]:
    measure()
    return tuple(measure() for _ in range(repeat))


def _p99(samples: Iterator[float]) -> float:
    return statistics.quantiles(samples, n=100)[98]
