"""FakeRegistry: a registry in the test's own process, with switches for all that can go wrong. See docs/testing.md."""

from __future__ import annotations

from shipway.testing.registry.auth import Auth, Basic, Bearer
from shipway.testing.registry.faults import (
    ChangedBytes,
    Drop,
    Endless,
    ExpiredToken,
    Fault,
    Hang,
    Reply,
    Resized,
    ServerError,
    Slow,
    TooManyRequests,
    WrongLength,
)
from shipway.testing.registry.log import Request, Requests
from shipway.testing.registry.quirks import Quirks
from shipway.testing.registry.server import FakeRegistry
from shipway.testing.registry.traps import Trap

__all__ = [
    "Auth",
    "Basic",
    "Bearer",
    "ChangedBytes",
    "Drop",
    "Endless",
    "ExpiredToken",
    "FakeRegistry",
    "Fault",
    "Hang",
    "Quirks",
    "Reply",
    "Request",
    "Requests",
    "Resized",
    "ServerError",
    "Slow",
    "TooManyRequests",
    "Trap",
    "WrongLength",
]
