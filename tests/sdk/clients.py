"""Both clients by one face, so that one suite tests them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from shipway.sdk.client import Client
from shipway.sdk.client_async import AsyncClient

COLOURS = ("sync", "async")


class Blocking:
    """An AsyncClient (or what it returned) whose methods are called as those of its twin."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if inspect.isasyncgenfunction(found):
            return lambda *args, **options: self._each(found(*args, **options))
        if inspect.iscoroutinefunction(found):
            return lambda *args, **options: self._awaited(found, *args, **options)
        return found

    def _awaited(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = self._runner.run(method(*args, **options))
        return Blocking(result, self._runner) if hasattr(result, "predict") else result

    def _each(self, stream: AsyncGenerator[Any, None]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(stream)

        try:
            while True:
                try:
                    yield self._runner.run(following())
                except StopAsyncIteration:
                    return
        finally:
            self._runner.run(stream.aclose())


@contextmanager
def client(colour: str, **options: Any) -> Iterator[Any]:
    """A client of that colour, to be called without ``await``."""
    if colour == "sync":
        yield Client(**options)
    else:
        with asyncio.Runner() as runner:
            yield Blocking(AsyncClient(**options), runner)
