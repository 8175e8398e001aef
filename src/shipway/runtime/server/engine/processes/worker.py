"""The worker process: ``python -m shipway.runtime.server.engine.processes.worker SERVER SOCKET REQUESTS REPLIES``.

The arguments are the server's pid and files that it inherits. All else it is told over the socket, and it ends when
the socket does.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import sys
from importlib import import_module
from typing import NoReturn

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.post import Post
from shipway.runtime.server.engine.processes.serial import Serial
from shipway.runtime.server.engine.processes.way import Way
from shipway.runtime.server.engine.processes.wire import Load, Loaded, ToWorker, Unfit
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.warmup import warming, warmup_call

_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Serve until told to stop, or until the server is gone."""
    server, own, requests, replies = map(int, sys.argv[1:])
    _leave_the_end_to_the_server(server)
    for file in (own, requests, replies):
        os.set_inheritable(file, False)  # programs that user code starts must not hold the socket open
    connection = socket.socket(fileno=own)
    post = Post(connection, Channel(ToWorker, read_from=requests, write_to=replies))
    # The server has gone: nobody is left to tell.
    with contextlib.suppress(EOFError, ConnectionError):
        _work(post)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # as the server ends: without waiting for threads of user code


def _work(post: Post) -> None:
    first = post.next()
    assert isinstance(first, Load)
    try:
        model = load(first.settings)
        way = _way(model)
        model = _warm(model, way)
    except ModelRefused as refusal:
        post.send(Unfit(str(refusal)))
        post.next()  # the server ends it when this is read
        return
    post.send(Loaded(Description(model.format, model.signature, concurrent=model.is_async, streams=model.streams)))
    way.serve(model, post)


def _way(model: Model) -> Way:
    if not model.is_async:
        return Serial()
    # Not above: asyncio takes 4 MB and 50 ms, and most predictors need none.
    concurrent: Way = import_module("shipway.runtime.server.engine.processes.concurrent").Concurrent()
    return concurrent


def _warm(model: Model, way: Way) -> Model:
    """One call before the first request. Raises ModelRefused."""
    with warming():
        request = warmup_call(model)
        if request is None:
            return model
        outputs = way.first(model, request)
    return model if model.streams else model.learned(outputs)


def _leave_the_end_to_the_server(server: int) -> None:
    """Die with it, and not before: SIGTERM and SIGINT come to the whole process group.

    Handlers that do nothing, and not SIG_IGN: programs that user code starts would inherit that.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:  # it ended before it could be said
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
