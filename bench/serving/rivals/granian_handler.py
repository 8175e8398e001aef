"""The floor: a granian RSGI handler that reads the body and answers ``{}``; the same event loop as our server has."""

from __future__ import annotations

import os
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server

_HEADERS = [("content-type", "application/json")]


async def handler(scope: Any, exchange: Any) -> None:
    """Any method, any path."""
    await exchange()
    exchange.response_bytes(200, _HEADERS, b"{}")


if __name__ == "__main__":
    server = Server(
        handler,
        "127.0.0.1",
        int(os.environ["PORT"]),
        interface=Interfaces.RSGI,
        websockets=False,
        backlog=1024,
        log_enabled=False,
    )
    uvloop.run(server.serve())
