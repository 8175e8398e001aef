"""The life of one replica: open the socket, load, warm up, serve, drain, end."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from typing import NoReturn

import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.catalog import Place, catalog
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.http.app import App
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.observe.metrics import ModelMetrics
from shipway.runtime.server.repository import Open, Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings, read
from shipway.runtime.server.state import State

SERVER_FAILED = 1
MODEL_REFUSED = 3  # docs/contract.md, "End"


class CannotListen(Exception):
    """Another program has the port, or this machine has no such address."""


def main() -> NoReturn:
    """Serve until SIGTERM. Exit codes: 0 drained, 1 cannot listen, 3 the model cannot be served; the reason of
    the last two is the last line on stderr."""
    code, reason = 0, ""
    try:
        settings = read(os.environ)
        asyncio.run(_serve(settings))
    except CannotListen as error:
        code, reason = SERVER_FAILED, str(error)
    except ModelRefused as refusal:
        code, reason = MODEL_REFUSED, str(refusal)
    except Exception as error:
        traceback.print_exception(error, file=sys.stderr)
        code, reason = SERVER_FAILED, f"the server failed: {type(error).__name__}: {error}"
    atexit._run_exitfuncs()
    if reason:
        print(reason, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by returning: the interpreter would wait for a thread that is stuck in user code, and one of granian's
    # threads that asks for the interpreter while it goes down aborts the process (seen in 1 of 40 ends, 2.8.7).
    os._exit(code)


async def _serve(settings: Settings) -> None:
    """Run until told to stop, then until every request has its answer. Raises CannotListen, ModelRefused."""
    _check_free(settings.host, settings.port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state, metrics = State(), ModelMetrics(settings.model, settings.version)
    opener = _opener(settings, metrics)
    repository = Repository(state, lambda: catalog(settings), opener, settings.server.memory_budget)
    server = Server(
        App(settings, repository, state, metrics),
        settings.host,
        settings.port,
        interface=Interfaces.RSGI,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    loading = asyncio.create_task(_bring_up(repository, settings))
    serving.add_done_callback(lambda _: stop.set())
    loading.add_done_callback(lambda _: stop.set() if _failure(loading) else None)
    await stop.wait()
    failure = _failure(loading)
    if failure is None:
        state.drain()
        await asyncio.sleep(settings.server.drain_delay)
        await repository.stop()
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    if failure is not None:
        raise failure


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def _bring_up(repository: Repository, settings: Settings) -> None:
    """Load and warm up. Raises ModelRefused."""
    started = time.monotonic()
    await repository.start()
    models = ", ".join(f"{one.name}:{one.version} ({one.description.format})" for one in repository.served())
    print(
        f"shipway: {models or 'no model yet'} is ready on {settings.host}:{settings.port}, "
        f"loaded and warm in {time.monotonic() - started:.2f} s",
        file=sys.stderr,
        flush=True,
    )


def _opener(settings: Settings, metrics: ModelMetrics) -> Open:
    """How a version is loaded: in the threads of this process, or in processes of its own."""

    async def open_(place: Place) -> ServedModel:
        own = msgspec.structs.replace(settings, model=place.name, version=place.version, model_dir=place.folder)
        executor = ThreadExecutor(lambda: load(own), own.server.instances)
        description = await executor.start()
        metrics.format = description.format
        return ServedModel(place.name, place.version, executor, description, metrics)

    return open_


def _check_free(host: str, port: int) -> None:
    """Raises CannotListen when the port is taken: granian uses SO_REUSEPORT and would share it silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
