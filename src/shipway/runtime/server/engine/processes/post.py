"""The worker's end of the socket, for a worker that does one thing at a time: it sleeps in ``recv``."""

from __future__ import annotations

import socket
from collections import deque

from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.wire import FromWorker, ToWorker


class Post:
    """Blocks where it waits."""

    def __init__(self, connection: socket.socket, channel: Channel) -> None:
        self.connection = connection
        self.channel = channel
        self.waiting: deque[ToWorker] = deque()

    def next(self) -> ToWorker:
        """The next message. Raises EOFError when the server has gone."""
        while not self.waiting:
            count = self.connection.recv_into(self.channel.room())
            if not count:
                raise EOFError
            self.waiting.extend(self.channel.received(count))
        return self.waiting.popleft()

    def send(self, frame: FromWorker) -> None:
        """Raises ConnectionError when the server has gone."""
        self.connection.sendall(self.channel.message(frame))
