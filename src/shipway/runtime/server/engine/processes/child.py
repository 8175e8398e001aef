"""The server's side of one worker process. Lives on the event loop, and blocks it nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.engine.batch import Joined
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.line import Line
from shipway.runtime.server.engine.processes.wire import (
    Cancel,
    Done,
    End,
    Failed,
    FromWorker,
    Item,
    Load,
    Loaded,
    Next,
    Run,
    Stop,
    Trim,
    Unfit,
)
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.settings import Settings

WORKER = "shipway.runtime.server.engine.processes.worker"
CONCURRENT = 1024  # calls at a time of an async model
# Seconds that a call may still run, when its deadline has passed or nobody waits, before its worker is killed.
GRACE = 5.0
_STOPPING = 2.0  # seconds
_KEPT = 10.0  # seconds that the memory of large calls is kept
_LARGE = 2**20  # bytes from which inputs are copied in a thread: the event loop has other requests

# An answer, an item of a stream, an error, or None at the end of a stream.
Heard = Answer | Mapping[str, Array] | Exception | None
Hear = Callable[[Heard], None]


@dataclass(slots=True)
class _Asked:
    hear: Hear
    watch: asyncio.TimerHandle | None = None
    sent: bool = False
    cancelled: bool = False


class Child:
    """One worker process, from its start to its end; a new one is a new object."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()  # how; never cancel it
        self._loaded: asyncio.Future[Description] = self._loop.create_future()
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._places = 0
        self._trimming: asyncio.TimerHandle | None = None

    def spawn(self) -> None:
        """Start the process. Raises ModelRefused."""
        with contextlib.ExitStack() as files:
            try:
                self._socket, theirs = map(files.enter_context, socket.socketpair())
                requests, replies = [os.memfd_create(name) for name in ("shipway-requests", "shipway-replies")]
                files.callback(os.close, requests)
                files.callback(os.close, replies)
                self._process = _spawn(theirs.fileno(), requests, replies)
            except OSError as error:
                raise ModelRefused(f"no worker process can be started: {error}") from error
            theirs.close()
            self._channel = Channel(FromWorker, read_from=replies, write_to=requests)
            # It may have closed its end and go on; what it knew of its calls is lost either way.
            self._line = Line(self._channel, self._heard, lost=self.kill)
            self._files = files.pop_all()
        # A thread that sleeps: the event loop's own way, a file descriptor of the process, is not on every kernel.
        threading.Thread(target=self._wait, name=f"worker-{self.pid}", daemon=True).start()

    async def ready(self, settings: Settings) -> Description:
        """Have it load the model. Raises ModelRefused."""
        await self._line.open(self._socket)
        self._line.send(Load(settings))
        description = await self._loaded
        self._places = CONCURRENT if description.concurrent else 1
        return description

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def idle(self) -> int:
        """How many calls it can begin now."""
        return max(0, self._places - len(self._asked))

    def ask(self, call: Call, hear: Hear, *, streams: bool = False) -> int:
        """Begin a call: the number by which to go on or to cancel. ``hear`` is told of each item, and of the end; never
        before this returns."""
        self._number = number = self._number + 1
        asked = self._asked[number] = _Asked(hear)
        if call.expires != math.inf:
            asked.watch = self._loop.call_later(call.expires - time.monotonic() + GRACE, self._hangs)
        try:
            inputs, copy = self._channel.place(call.inputs.pieces if isinstance(call.inputs, Joined) else [call.inputs])
        except Exception as error:
            self._loop.call_soon(self._last, number, _unwritten(error))
            return number
        run = Run(number, inputs, call.wanted, call.parameters, call.id, call.expires, streams)
        if inputs.size < _LARGE:
            copy()
            self._begin(run)
        else:
            self._trim_later()
            copied = self._loop.run_in_executor(None, copy)
            copied.add_done_callback(lambda _: self._begin(run))
        return number

    def go_on(self, number: int) -> None:
        """The next item of a stream, please."""
        self._line.send(Next(number))

    def cancel(self, number: int) -> None:
        """Nobody waits for that call. It holds its place until the worker says that it has ended, and not for ever."""
        asked = self._asked.get(number)
        if asked is None or asked.cancelled:
            return
        asked.cancelled = True
        if asked.sent:
            self._line.send(Cancel(number))
        if asked.watch is not None:
            asked.watch.cancel()
        asked.watch = self._loop.call_later(GRACE, self._hangs)

    async def stop(self) -> None:
        """Let it finish what it does; kill it when that takes long."""
        if self._places:
            self._places = 0
            self._line.send(Stop())
            await asyncio.wait([self.ended], timeout=_STOPPING)
        self.kill()
        await asyncio.wait([self.ended])

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def _heard(self, frame: FromWorker) -> None:
        match frame:
            case Done():
                self._last(frame.number, self._answer(frame))
            case Item():
                self._asked[frame.number].hear(self._channel.read(frame.outputs))
            case Failed():
                self._last(frame.number, _error(frame))
            case End():
                self._last(frame.number, None)
            case Loaded():
                if not self._loaded.cancelled():
                    self._loaded.set_result(frame.description)
            case Unfit():
                self._refused(frame.reason)
                self.kill()

    def _answer(self, frame: Done) -> Answer:
        outputs = self._channel.read(frame.outputs)
        if frame.outputs.size >= _LARGE:
            self._trim_later()
        return Answer(outputs, frame.rows, frame.seconds, frame.parameters, frame.began)

    def _last(self, number: int, heard: Heard) -> None:
        asked = self._asked.pop(number, None)
        if asked is None:  # the worker died just now, and it was told
            return
        if asked.watch is not None:
            asked.watch.cancel()
        asked.hear(heard)

    def _begin(self, run: Run) -> None:
        asked = self._asked.get(run.number)
        if asked is None:  # the worker died while the inputs were copied
            return
        asked.sent = True
        self._line.send(run)
        if asked.cancelled:
            self._line.send(Cancel(run.number))

    def _trim_later(self) -> None:
        """Pages are kept between large calls: new ones cost ten times as much as to copy into them."""
        if self._trimming is None:
            self._trimming = self._loop.call_later(_KEPT, self._trim)

    def _trim(self) -> None:
        self._trimming = None
        if self._asked:
            self._trim_later()
        else:
            self._channel.trim()
            self._line.send(Trim())

    def _hangs(self) -> None:
        print(
            f"shipway: worker {self.pid} is killed: a call goes on {GRACE:g} s after anybody waited for it",
            file=sys.stderr,
            flush=True,
        )
        self.kill()

    def _wait(self) -> None:
        """In a thread of its own: until the process has ended."""
        code = self._process.wait()
        try:
            self._loop.call_soon_threadsafe(self._end, code)
        except RuntimeError:  # the loop was closed without stop()
            return

    def _end(self, code: int) -> None:
        how = f"worker {self.pid} died ({_status(code)})"
        self._places = 0
        self._line.cut()
        if self._trimming is not None:
            self._trimming.cancel()
        self._files.close()
        self.ended.set_result(how)
        self._refused(f"{how} while it loaded the model")
        for number in list(self._asked):
            self._last(number, Refused(Reason.UNAVAILABLE, f"{how} during this call", retry_after=1.0))

    def _refused(self, reason: str) -> None:
        if not self._loaded.done():
            self._loaded.set_exception(ModelRefused(reason))


def _spawn(*files: int) -> subprocess.Popen[bytes]:
    """A fresh interpreter that has these files, under the same numbers.

    The signals that end a server go to its whole group, workers too. They are held back until the worker can say that
    it leaves the decision to the server.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        return subprocess.Popen(
            [sys.executable, "-m", WORKER, *map(str, (os.getpid(), *files))], stdin=subprocess.DEVNULL, pass_fds=files
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _unwritten(error: Exception) -> Exception:
    if isinstance(error, UnicodeEncodeError | TypeError):
        return BadInput(f"text that has no form in UTF-8: {error}")
    return Refused(Reason.UNAVAILABLE, f"no memory for the inputs: {error}", retry_after=1.0)


def _error(frame: Failed) -> Exception:
    if frame.reason is None:
        return BadInput(frame.message)
    return Refused(Reason[frame.reason], frame.message, frame.retry_after)
