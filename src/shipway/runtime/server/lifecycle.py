"""The life of one replica: open the socket, load, warm up, serve, drain, end."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

import msgspec

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.catalog import Place, catalog
from shipway.runtime.server.engine.executor import Executor
from shipway.runtime.server.engine.isolation import isolation_of
from shipway.runtime.server.engine.processes.executor import ProcessExecutor
from shipway.runtime.server.engine.threads import ThreadExecutor
from shipway.runtime.server.http.app import App
from shipway.runtime.server.http.server import HttpServer
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.observe.assembly import make_observer
from shipway.runtime.server.observe.metrics import Metrics
from shipway.runtime.server.observe.observer import Observer
from shipway.runtime.server.repository import Open, Repository
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.settings import Settings, read
from shipway.runtime.server.state import State

SERVER_FAILED = 1
MODEL_REFUSED = 3  # docs/contract.md, "End"

# Seconds. The event loop and the models' threads pass the interpreter's lock around; whoever wants it waits as long as
# this for one that computes, where Python's own value is 5 ms.
_LOCK_IS_HELD = 0.0005
_LAST_ANSWERS = 2.0  # seconds in which answers that are made go out to slow readers, and idle streams of gRPC are cut


class CannotListen(Exception):
    """Another program has the port, or this machine has no such address."""


def main() -> NoReturn:
    """Serve until SIGTERM. Exit codes: 0 drained, 1 cannot listen, 3 the model cannot be served; the reason of
    the last two is the last line on stderr."""
    code, reason = 0, ""
    try:
        settings = read(os.environ)
        sys.setswitchinterval(_LOCK_IS_HELD)
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(settings))
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
    # Not by returning: the interpreter would wait for a thread that is stuck in user code.
    os._exit(code)


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, which carries some 20 % more requests, or Python's own where that is missing."""
    try:
        loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()
    return loop


async def _serve(settings: Settings) -> None:
    """Run until told to stop, then until every request has its answer. Raises CannotListen, ModelRefused."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state, observer = State(), make_observer(settings)
    opener = _opener(settings, observer.metrics)
    repository = Repository(state, lambda: catalog(settings), opener, settings.server.memory_budget)
    grpc = await _open_grpc(settings, repository, state, observer)
    http = await _open_http(settings, repository, state, observer)
    loading = asyncio.create_task(_bring_up(repository, settings))
    loading.add_done_callback(lambda _: stop.set() if _failure(loading) else None)
    await stop.wait()
    failure = _failure(loading)
    if failure is None:
        state.drain()
        http.drain()
        await asyncio.sleep(settings.server.drain_delay)
    await http.stop(_LAST_ANSWERS)
    if failure is None:
        await repository.stop()
    if grpc is not None:
        await grpc.stop(_LAST_ANSWERS)
    await asyncio.to_thread(observer.close)
    if failure is not None:
        raise failure


async def _open_http(settings: Settings, repository: Repository, state: State, observer: Observer) -> HttpServer:
    """HTTP's face, listening. Raises CannotListen."""
    app = App(settings, repository, state, observer)
    server = HttpServer(app, settings.host, settings.port, settings.server.max_body)
    try:
        await server.start()
    except OSError as error:
        raise CannotListen(error.strerror or str(error)) from error
    return server


async def _open_grpc(settings: Settings, repository: Repository, state: State, observer: Observer) -> Any:
    """gRPC's face, listening, where it is switched on: protobuf may be missing elsewhere."""
    if not settings.grpc_port:
        return None
    try:
        face = import_module("shipway.runtime.server.rpc.server")
    except ImportError as error:
        raise ModelRefused(f"SHIPWAY_GRPC_PORT is set, and {error}: pip install 'shipway[grpc]'") from error
    server = face.GrpcServer(settings, repository, state, observer)
    try:
        await server.start()
    except OSError as error:
        raise CannotListen(str(error)) from error
    return server


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


def _opener(settings: Settings, metrics: Metrics) -> Open:
    """How a version is loaded: in the threads of this process, or in processes of its own."""

    async def open_(place: Place) -> ServedModel:
        own = msgspec.structs.replace(settings, model=place.name, version=place.version, model_dir=place.folder)
        counts = metrics.of(place.name, place.version)
        executor = _executor(own, counts.restarted)
        description = await executor.start()
        served = ServedModel(place.name, place.version, executor, description, counts, own.server)
        counts.opened(description.format, served.load)
        counts.reached("open", description.opened)
        counts.reached("warm-up", time.monotonic())
        return served

    return open_


def _executor(settings: Settings, restarted: Callable[[], None]) -> Executor:
    """Threads of this process, or processes."""
    instances = settings.server.instances
    choice = isolation_of(settings.server.isolation, predictor=settings.predictor is not None)
    if choice.isolation == "thread":
        return ThreadExecutor(lambda: load(settings), instances)
    places = "a process of its own" if instances == 1 else f"{instances} processes of its own"
    print(f"shipway: {settings.model}:{settings.version} gets {places}: {choice.reason}", file=sys.stderr, flush=True)
    return ProcessExecutor(settings, instances, restarted)
