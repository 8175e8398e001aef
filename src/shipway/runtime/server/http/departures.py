"""Clients that go away before they are answered: their work is taken back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from shipway.runtime.server.http.rsgi import Departure, Exchange, Scope
from shipway.runtime.server.lingering import Lingering

Task = asyncio.Task[Any]

# A watch costs two threads' attention; whoever is answered sooner than this is not watched.
_SOON = 0.02


@dataclass(slots=True)
class _Connection:
    end: Departure
    tasks: set[Task] = field(default_factory=set)


class Departures:
    """Cancels the tasks of requests whose connection has ended. Lives on the event loop.

    One watch serves all requests of a connection: granian wakes one waiter, and HTTP/2 has many. A single stream that
    is reset while its connection stays is not seen (granian 2.8.7 does not tell): it is answered, and nobody reads it.
    """

    def __init__(self, soon: float = _SOON) -> None:
        self._waiting: Lingering[Task, tuple[Scope, Exchange]] = Lingering(soon, self._watch)
        self._connections: dict[str, _Connection] = {}
        self._watched: dict[Task, str] = {}

    def enter(self, task: Task, scope: Scope, exchange: Exchange) -> None:
        """It waits for its answer from now on."""
        self._waiting.enter(task, (scope, exchange))

    def leave(self, task: Task) -> None:
        """It has its answer."""
        self._waiting.leave(task)
        if self._watched:
            self._unwatch(task)

    def _watch(self, task: Task, request: tuple[Scope, Exchange]) -> None:
        scope, exchange = request
        client = scope.client
        connection = self._connections.get(client)
        if connection is None:
            connection = self._connections[client] = _Connection(exchange.client_disconnect())
            connection.end.add_done_callback(lambda _: self._ended(client))
        connection.tasks.add(task)
        self._watched[task] = client

    def _unwatch(self, task: Task) -> None:
        client = self._watched.pop(task, None)
        connection = self._connections.get(client) if client is not None else None
        if client is None or connection is None:
            return
        connection.tasks.discard(task)
        if not connection.tasks:
            del self._connections[client]
            connection.end.cancel()

    def _ended(self, client: str) -> None:
        connection = self._connections.pop(client, None)  # none: the last request was answered at the same moment
        for task in connection.tasks if connection is not None else ():
            self._watched.pop(task, None)
            task.cancel()
