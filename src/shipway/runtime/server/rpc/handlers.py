"""From the methods of services to what runs for a call: bytes in, bytes out, and every error told to the caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.runtime.server.rpc.exchange import Exchange
from shipway.runtime.server.rpc.failure import Code, Failure, failure_of
from shipway.runtime.server.rpc.messages import message, methods

Context = Exchange
Unary = Callable[[Any, Any], Awaitable[bytes]]
Stream = Callable[[Any, Any], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Method:
    """``run`` answers a call and ends it. ``streams``: it begins before all messages of the caller are here."""

    run: Callable[[Exchange], Awaitable[None]]
    streams: bool


def service(name: str, behaviours: Mapping[str, Unary | Stream]) -> dict[str, Method]:
    """The methods of the service of that full name, by path; ``behaviours`` are by name.

    A behaviour takes the request (an iterator of requests, where the method streams them) and the exchange. It raises
    Refused, BadInput.
    """
    found = {}
    for one in methods(name):
        parse = message(one.input_type.full_name).FromString
        behaviour: Any = behaviours[one.name]
        if one.client_streaming:
            run = _streams(behaviour, parse)
        elif one.server_streaming:
            run = _stream(behaviour, parse)
        else:
            run = _unary(behaviour, parse)
        found[f"/{name}/{one.name}"] = Method(_ended(run), one.client_streaming)
    return found


def _unary(behaviour: Unary, parse: Callable[[bytes], Any]) -> Callable[[Exchange], Awaitable[None]]:
    async def run(exchange: Exchange) -> None:
        answer = await behaviour(parse(await exchange.only_message()), exchange)
        if not exchange.answer(answer):
            await exchange.write(answer)

    return run


def _stream(behaviour: Stream, parse: Callable[[bytes], Any]) -> Callable[[Exchange], Awaitable[None]]:
    async def run(exchange: Exchange) -> None:
        await _write_all(behaviour(parse(await exchange.only_message()), exchange), exchange)

    return run


def _streams(behaviour: Stream, parse: Callable[[bytes], Any]) -> Callable[[Exchange], Awaitable[None]]:
    async def requests(exchange: Exchange) -> AsyncIterator[Any]:
        while (data := await exchange.message()) is not None:
            yield parse(data)

    async def run(exchange: Exchange) -> None:
        await _write_all(behaviour(requests(exchange), exchange), exchange)

    return run


async def _write_all(answers: Any, exchange: Exchange) -> None:
    try:
        async for answer in answers:
            await exchange.write(answer)
    finally:
        await answers.aclose()  # now, and not when the collector comes: a model's generator hangs on it


def _ended(run: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    async def ended(exchange: Exchange) -> None:
        try:
            await run(exchange)
            exchange.end()
        except Exception as error:
            exchange.end(failure_of(error))
        except asyncio.CancelledError:
            # By the caller, who hears nothing any more; by its deadline; or by the end of the server.
            expired = time.monotonic() >= exchange.expires
            exchange.end(
                Failure(Code.DEADLINE_EXCEEDED, "the deadline passed")
                if expired
                else Failure(Code.UNAVAILABLE, "this replica is shutting down")
            )

    return ended
