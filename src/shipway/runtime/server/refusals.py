"""Why a request has no answer, in the words of both protocols.

Source: RFC 9110 section 15 (HTTP status codes), gRPC "Status codes and their use".
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Codes:
    """The same thing in HTTP and in gRPC (the name of a ``grpc.StatusCode``)."""

    http: int
    grpc: str


class Reason(Enum):
    """Who must act: the caller (4xx), the caller later (429, 503), or the owner of the model (500)."""

    INVALID = Codes(400, "INVALID_ARGUMENT")
    FORBIDDEN = Codes(403, "PERMISSION_DENIED")
    NOT_FOUND = Codes(404, "NOT_FOUND")
    TOO_LARGE = Codes(413, "RESOURCE_EXHAUSTED")
    OVERLOADED = Codes(429, "RESOURCE_EXHAUSTED")  # this caller, or all of them, ask for more than is served
    CANCELLED = Codes(499, "CANCELLED")  # nobody waits for the answer; nginx's number, for the metrics
    FAILED = Codes(500, "INTERNAL")  # the model's own code failed
    UNAVAILABLE = Codes(503, "UNAVAILABLE")  # not loaded yet, shutting down, or a worker died
    EXPIRED = Codes(504, "DEADLINE_EXCEEDED")


class Refused(Exception):
    """A request without an answer. ``retry_after`` in seconds, where asking again can help."""

    def __init__(self, reason: Reason, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after


class NotServing(Refused):
    """This replica takes no request now (it loads its model, or shuts down), and has begun nothing of this one: what
    carries requests to replicas may send it to another. ``HEADER`` tells it so."""

    HEADER = ("x-shipway-not-serving", "1")

    def __init__(self, message: str) -> None:
        super().__init__(Reason.UNAVAILABLE, message, retry_after=1.0)


def internal(error: Exception) -> Refused:
    """A bug of ours, which is written to stderr."""
    traceback.print_exception(error, file=sys.stderr)
    return Refused(Reason.FAILED, f"the scheduler failed: {type(error).__name__}: {error}")
