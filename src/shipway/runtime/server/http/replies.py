"""Answers of one piece. The body of an error is always ``{"error": message}``.

Source: Open Inference Protocol v2, "Inference Response Errors"; RFC 9110 sections 10.2.3 (Retry-After) and 15.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from msgspec import Struct

from shipway.runtime.server.http.messages import Headers
from shipway.runtime.server.refusals import NotServing, Reason, Refused

JSON: Headers = (("content-type", "application/json"),)


class Reply(Struct, gc=False):
    """A whole answer."""

    body: bytes
    status: int = 200
    headers: Headers = JSON


class HttpError(Exception):
    """An answer that is not 200, for reasons that only HTTP has."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers

    def reply(self) -> Reply:
        """As the caller gets it."""
        return Reply(msgspec.json.encode({"error": self.message}), self.status, (*JSON, *self.headers))


def refused(refusal: Refused) -> HttpError:
    """The same in HTTP's words; seconds to wait are rounded up."""
    retry = refusal.retry_after
    headers = () if retry is None else (("retry-after", str(max(1, math.ceil(retry)))),)
    elsewhere = (refusal.HEADER,) if isinstance(refusal, NotServing) else ()
    return HttpError(refusal.reason.value.http, refusal.message, (*headers, *elsewhere))


def json_reply(document: Any, status: int = 200) -> Reply:
    """Anything that JSON can say."""
    return Reply(msgspec.json.encode(document), status)


def gone() -> Refused:
    """Nobody reads this answer; its code is for the counts."""
    return Refused(Reason.CANCELLED, "the client went away")


def too_large(limit: int) -> HttpError:
    """For a body, also for what it unpacks to."""
    return HttpError(413, f"the body is larger than {limit} bytes (maxBody in the service's server block)")
