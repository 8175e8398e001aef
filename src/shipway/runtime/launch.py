"""The first process of a job's container in a cluster: runs the command, has its output taken away, says how it ended.

``python launch.py [--socket PATH] [--each] [--grace S] [--afterwards WORDS] -- COMMAND...``. One file, the standard
library only, and nothing newer than Python 3.8: the courier puts it into Pods whose images have nothing else of Shipway
(``python -m shipway.runtime.launch`` is the same). Source: docs/contract.md, "A job in a cluster".
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

LARGEST_MESSAGE = 4096  # bytes that kubelet reads of a termination message
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as shells have it
NOT_PUSHED = 74  # EX_IOERR of sysexits.h

_STOPS = (signal.SIGTERM, signal.SIGINT)
_FORWARDED = (*_STOPS, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_AFTERWARDS = 60.0  # seconds that the second command has
_QUIET = 60.0  # seconds without a word of a courier, which says every few that it lives
_PATIENCE = 900.0  # seconds in which no courier answers: kubelet starts it anew within 5 minutes
_DEATHS = 8  # of couriers that had begun
_STARTING = 60.0  # seconds that a courier may take until it listens
_PAUSE = 0.2  # seconds


@dataclass
class End:
    """How a command ended: as a shell's exit code, and by which signal (0: none)."""

    code: int
    signal: int = 0


class Runner:
    """Runs commands, each in a session of its own. Signals to this process go to all processes of the command; one that
    does not end within ``grace`` seconds of SIGTERM is killed."""

    def __init__(self, grace: float) -> None:
        self.stopped = False  # somebody asked this container to end
        self._grace = grace
        self._group = 0
        self._early: list[int] = []  # signals that came before there was anybody to send them to
        for one in _FORWARDED:
            signal.signal(one, self._forward)
        signal.signal(signal.SIGALRM, self._kill)

    def run(self, command: Sequence[str], timeout: float = 0.0) -> End:
        """Run it to its end: nothing of it goes on. ``timeout``: seconds until it is killed (0: never)."""
        try:
            process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
        except OSError as error:
            _say(f"{command[0]} cannot be started: {error.strerror}")
            return End(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
        if timeout:
            signal.setitimer(signal.ITIMER_REAL, timeout)
        self._group = process.pid
        while self._early:
            self._forward(self._early.pop(0), None)
        status = _reaped(process.pid)
        signal.setitimer(signal.ITIMER_REAL, 0)
        process.returncode = status  # it was waited for here: subprocess must not wait for it again
        self._kill()  # what it left behind would go on writing into the output
        self._group = 0
        if os.WIFSIGNALED(status):
            return End(128 + os.WTERMSIG(status), os.WTERMSIG(status))
        return End(os.WEXITSTATUS(status))

    def _forward(self, number: int, _: FrameType | None) -> None:
        self.stopped = self.stopped or number in _STOPS
        if not self._group:
            self._early.append(number)
            return
        if number in _STOPS:
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        self._send(number)

    def _kill(self, *_: object) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self._group:
            with suppress(ProcessLookupError, PermissionError):  # all of them have ended
                os.killpg(self._group, number)


def _reaped(wanted: int) -> int:
    """The wait status of that child. As process 1 of its container this one gets every orphan, and waits for all."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == wanted:
            return status


def push(path: str, patience: float = _PATIENCE, quiet: float = _QUIET) -> dict[str, Any]:
    """Ask the courier behind the socket to push the output, and wait until it has: ``{"output": REFERENCE}`` (empty
    when there was nothing to push) or ``{"failed": WHY}``. One that dies is waited for and asked again."""
    deaths, heard = 0, time.monotonic()
    while deaths < _DEATHS:
        said = 0
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as courier:
            courier.settimeout(quiet)
            courier.connect(path)
            courier.sendall(b'{"push": true}\n')
            for line in courier.makefile("rb"):
                said, heard = said + 1, time.monotonic()
                answer = json.loads(line)
                if "output" in answer or "failed" in answer:
                    return dict(answer)
        deaths += said > 0
        if time.monotonic() - heard > patience:
            return {"failed": f"no courier answered at {path} for {patience:.0f} s"}
        time.sleep(_PAUSE)
    return {"failed": f"the courier died {_DEATHS} times while it pushed: see the log of the container courier"}


def listens(path: str, patience: float = _STARTING) -> bool:
    """Wait until a courier does. One that is still starting has no ear for the SIGTERM that it gets when this container
    ends (the kernel drops what process 1 has no handler for), and would hold the Pod for its whole grace period."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as courier:
            courier.settimeout(patience)
            courier.connect(path)
            return True
        time.sleep(_PAUSE)
    return False


def message(end: End, **more: str) -> bytes:
    """The termination message: one JSON object in a line. Texts are cut so that it fits."""
    document: dict[str, Any] = {"exitCode": end.code}
    if end.signal:
        document["signal"] = end.signal
    document.update({name: text for name, text in more.items() if text})
    data = json.dumps(document).encode() + b"\n"
    if len(data) <= LARGEST_MESSAGE:
        return data
    longest = max((name for name in more), key=lambda name: len(json.dumps(more[name])))
    return message(end, **{**more, longest: more[longest][: len(more[longest]) * 3 // 4]})


def launch(
    command: Sequence[str],
    *,
    afterwards: Sequence[str] = (),
    wants: bool = True,
    grace: float = 20.0,
    ask: Callable[[], Mapping[str, Any]] | None = None,
) -> tuple[End, dict[str, str]]:
    """Run it all; how this process is to end, and what else there is to say. ``wants``: the output is to be pushed and
    ``afterwards`` to be run here; ``ask``: how the courier is asked for it."""
    runner = Runner(grace)
    end = runner.run(command)
    if end.code == 0 and runner.stopped:
        # It was told to stop, and did so in good order: what it left is not what it would have made.
        _say("stopped by SIGTERM before the command was through: its output is not taken")
        return End(128 + signal.SIGTERM, signal.SIGTERM), {}
    if end.code or not wants:
        return end, {}
    if afterwards:
        runner.run(afterwards, _AFTERWARDS)
    # From here on SIGTERM changes nothing: the output is whole, and worth the rest of the grace period.
    answer = ask() if ask else {}
    if "failed" in answer:
        _say(f"the command succeeded, and its output could not be pushed: {answer['failed']}")
        return End(NOT_PUSHED), {"failed": str(answer["failed"])}
    return end, {"output": str(answer.get("output", ""))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments; the exit code."""
    parser = argparse.ArgumentParser(prog="launch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--socket", default="", help="of the courier; without one nothing is pushed")
    parser.add_argument("--each", action="store_true", help="every replica pushes, and not replica 0 alone")
    parser.add_argument("--grace", type=float, default=20.0, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--afterwards", default="", help="a second command, as a shell would read it")
    parser.add_argument("--message", default="/dev/termination-log", help="where to write how it ended")
    words = list(sys.argv[1:] if arguments is None else arguments)
    own, command = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    given = parser.parse_args(own)
    if not command:
        parser.error("no command follows --")
    if folder := os.environ.get("SHIPWAY_OUTPUT_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    end, more = launch(
        command,
        afterwards=shlex.split(given.afterwards),
        wants=given.each or os.environ.get("SHIPWAY_REPLICA_INDEX", "0") == "0",
        grace=given.grace,
        ask=(lambda: push(given.socket)) if given.socket else None,
    )
    try:
        Path(given.message).write_bytes(message(end, **more))
    except OSError as error:
        _say(f"{given.message} cannot be written: {error.strerror}")
    if given.socket:
        listens(given.socket)
    return end.code


def _say(text: str) -> None:
    print(f"shipway: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
