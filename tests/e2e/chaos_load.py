"""Predictions at a steady rate while everything dies: who asked when, on which connection, and what came."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.e2e.chaos_plan import Death, Failure
from tests.e2e.home import Home

_POLL = 0.005  # seconds between two looks at Envoy
_EARLY = 0.25  # seconds by which the sockets of a killed process may be closed before it looks dead on a busy machine
_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Target:
    """What a client asks, and which answers are right."""

    url: str
    body: object
    check: Callable[[Any], bool]


class Clients:
    """Keep-alive clients, the targets in turn, that together ask ``rate`` times a second.

    A request is never sent twice: what fails is noted with the moment at which its connection was made.
    """

    def __init__(self, targets: list[Target], rate: float, clients: int = 8) -> None:
        self.failures: list[Failure] = []
        self.answered: Counter[str] = Counter()  # by target's path
        self._period = clients / rate
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, targets[number % len(targets)]), daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=_TIMEOUT + 5.0)

    def _run(self, number: int, target: Target) -> None:
        where = urlsplit(target.url)
        body = json.dumps(target.body)
        connection, connected = self._connection(where.hostname, where.port), None
        due = time.monotonic() + number * self._period / len(self._threads)
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._period, time.monotonic())  # who is late does not hurry: no burst after an outage
            if connected is None:
                with suppress(OSError):
                    connection.connect()
                    connected = time.monotonic()
            problem = self._ask(connection, where.path, body, target.check) if connected else "not connected"
            if not problem:
                self.answered[where.path] += 1
                continue
            self.failures.append(Failure(number, connected, time.monotonic(), f"{where.path} {problem}"))
            connection.close()
            connection, connected = self._connection(where.hostname, where.port), None
        connection.close()

    @staticmethod
    def _connection(host: str | None, port: int | None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(host or "127.0.0.1", port, timeout=_TIMEOUT)

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, path: str, body: str, check: Callable[[Any], bool]) -> str:
        """Ask once; what is wrong with the answer, or nothing."""
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
            good = response.status == 200 and check(json.loads(text))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        return "" if good else f"{response.status}: {text[:200]}"


class EnvoyWatch:
    """Looks at the home's Envoy all the time: who attributes a broken connection must know when it died."""

    def __init__(self, home: Home, url: str) -> None:
        self._home = home
        self._address = (urlsplit(url).hostname or "127.0.0.1", urlsplit(url).port or 0)
        self._deaths: list[Death] = []
        self._away_since: tuple[float, float] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10.0)

    @property
    def deaths(self) -> list[Death]:
        """So far; one that is not over lasts until now."""
        away = self._away_since
        return [*self._deaths, *([Death(*away, back=time.monotonic())] if away else [])]

    def _run(self) -> None:
        pid, seen = self._find(), time.monotonic()
        while not self._stop.wait(_POLL):
            if _lives(pid):
                seen = time.monotonic()
                continue
            # A process of several threads is a zombie before its sockets are closed: the kernel still connects to it.
            while not self._stop.wait(_POLL) and self._connects() and not _lives(self._find()):
                pass
            self._away_since = (seen - _EARLY, time.monotonic())
            while not self._stop.wait(_POLL) and not (_lives(pid := self._find()) and self._serves()):
                pass
            # On the air: what failed before this moment may have met nobody.
            self._deaths.append(Death(*self._away_since, back=time.monotonic()))
            self._away_since, seen = None, time.monotonic()

    def _find(self) -> int:
        """Envoy's process, as its supervisor tells it; 0 for none."""
        try:
            status = json.loads((self._home.path / "workloads" / "gateway" / "status.json").read_text())
            return int(status["replicas"][0]["pid"] or 0)
        except (OSError, ValueError, LookupError):
            return 0

    def _connects(self) -> bool:
        with suppress(OSError), socket.create_connection(self._address, timeout=1.0):
            return True
        return False

    def _serves(self) -> bool:
        """Whether it answers with routes: until it has read its files it knows no service."""
        connection = http.client.HTTPConnection(*self._address, timeout=5.0)
        try:
            connection.request("POST", "/own", b"{}")
            return connection.getresponse().status != 404
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _lives(pid: int) -> bool:
    if not pid:
        return False
    with suppress(OSError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    return False
