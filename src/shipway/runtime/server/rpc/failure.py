"""How a request without an answer is told to a gRPC client.

Source: gRPC, "Status codes and their use"; gRFC A6 (``grpc-retry-pushback-ms``).
"""

from __future__ import annotations

import math
import sys
import traceback
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError

from shipway.runtime.errors import BadInput
from shipway.runtime.server.refusals import NotServing, Refused

_LONGEST_MESSAGE = 1000  # characters; a client takes 8 KB of trailers in all, where % stands for three bytes


class Code(IntEnum):
    """The codes that we answer."""

    OK = 0
    CANCELLED = 1
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


@dataclass(frozen=True, slots=True)
class Failure:
    """The status of a call; ``trailers`` are metadata."""

    code: Code
    message: str = ""
    trailers: tuple[tuple[str, str], ...] = ()


OK = Failure(Code.OK)


def failure_of(error: Exception) -> Failure:
    """What the caller hears. What is none of the errors that we know is a bug of ours, and is written to stderr."""
    match error:
        case Refused():
            elsewhere = (error.HEADER,) if isinstance(error, NotServing) else ()
            trailers = (*_retry(error.retry_after), *elsewhere)
            return Failure(Code[error.reason.value.grpc], _short(error.message), trailers)
        case BadInput():
            return Failure(Code.INVALID_ARGUMENT, _short(str(error)))
        case DecodeError():
            return Failure(Code.INVALID_ARGUMENT, "the message is not of the type that this method takes")
    traceback.print_exception(error, file=sys.stderr)
    return Failure(Code.INTERNAL, f"the server failed: {type(error).__name__}")


def _retry(after: float | None) -> tuple[tuple[str, str], ...]:
    """For people, as HTTP says it, and for the retry policies of gRPC's clients."""
    if after is None:
        return ()
    return ("retry-after", str(math.ceil(after))), ("grpc-retry-pushback-ms", str(math.ceil(after * 1000)))


def _short(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}..."
