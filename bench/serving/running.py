"""A server while it runs: started, waited for, measured, ended with all that it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.serving.contestants import Contestant, Start
from bench.serving.dialects import Dialect, Exam
from bench.serving.environments import Environment
from bench.serving.load import Check, Torn, ask_once
from bench.serving.payloads import Payload

_PATIENCE = 120.0  # seconds to the first right answer; Ray takes 15 of them on a busy machine
_FINAL = (200, 422, 500)  # a server that still loads its model says something else
_GRACE = 15.0


@dataclass(frozen=True, slots=True)
class Questions:
    """Requests in the order in which they are sent, and who knows the answers."""

    requests: Sequence[bytes]
    check: Check


def questions(dialect: Dialect, payload: Payload) -> Questions:
    """Every row once."""
    requests = [dialect(row, number).raw() for number, row in enumerate(payload.rows)]
    return Questions(requests, Exam(payload.answers))


@dataclass(frozen=True, slots=True)
class Running:
    """``folder`` is in the environment of all its processes, ``ready`` the seconds to the first right answer."""

    port: int
    grpc_port: int
    pid: int
    folder: Path
    ready: float
    questions: Questions

    def memory(self) -> int:
        """Proportional set size of the whole tree in bytes."""
        return sum(one.pss for one in processes.of_home(self.folder))

    def cpu_seconds(self) -> float:
        """User and system time of the whole tree since it started."""
        return sum(one.cpu_seconds for one in processes.of_home(self.folder))

    def answers(self) -> list[bytes]:
        """The body that answers each request. Ends the measuring when one is wrong."""
        bodies = []
        for number, request in enumerate(self.questions.requests):
            status, body = ask_once(self.port, request)
            if status != 200 or not self.questions.check.right(number, body):
                raise SystemExit(f"row {number} is answered with {status} {body[:500]!r}, which is wrong")
            bodies.append(body)
        return bodies


@contextmanager
def running(
    contestant: Contestant, environment: Environment, payload: Payload, questions: Questions, variant: str = ""
) -> Iterator[Running]:
    """Start it and wait for its first right answer; at the end nothing of it runs or is left."""
    with ExitStack() as stack:
        # Short: Ray keeps sockets in it, and a socket's path has 107 bytes.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sb-", ignore_cleanup_errors=True)))
        port, grpc_port = _free_ports()
        command = contestant.command(Start(environment, payload, folder, port, grpc_port, variant))
        log = stack.enter_context((folder / "server.log").open("wb"))
        before = time.perf_counter()
        process = subprocess.Popen(
            command.arguments,
            env={**_surroundings(), **command.variables, "SHIPWAY_BENCH_FOLDER": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(_end, process, folder)
        _wait(process, port, questions, folder, f"{contestant.name} {variant}".strip())
        yield Running(port, grpc_port, process.pid, folder, time.perf_counter() - before, questions)


def _wait(process: subprocess.Popen[bytes], port: int, questions: Questions, folder: Path, name: str) -> None:
    last = ""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError, Torn):
            status, body = ask_once(port, questions.requests[0])
            if status == 200 and questions.check.right(0, body):
                return
            last = f"; its last answer was {status} {body[:300]!r}"
            if status in _FINAL:
                break
        time.sleep(0.005)
    text = (folder / "server.log").read_text(errors="replace")[-3000:]
    raise SystemExit(f"{name} gave no right answer{last}. Its log ends so:\n{text}")


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Politely first, then all that has the folder in its environment."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    for one in processes.of_home(folder):
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    process.wait()


def _free_ports() -> tuple[int, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        return sockets[0].getsockname()[1], sockets[1].getsockname()[1]


def _surroundings() -> dict[str, str]:
    """Our environment without what might steer a server: our own variables and Python's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("SHIPWAY_", "PYTHON", "VIRTUAL"))}
