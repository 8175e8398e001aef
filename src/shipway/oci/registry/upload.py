"""What to do next in an upload, given an answer. Pure.

The way of Docker, which every registry knows: POST begins, one PATCH carries the whole blob, PUT with the digest ends.
Chunks only where a proxy wants smaller bodies (413). Source: OCI distribution-spec v1.1.1, "Pushing blobs" and
"Pushing a blob in chunks".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from shipway.oci.registry import headers, retry

FIRST_CHUNK = 32 << 20  # bytes of a chunk after the first 413
LEAST_CHUNK = 1 << 20


class Next(Enum):
    """The next step of an upload."""

    SEND = auto()  # PATCH from ``offset`` on, or PUT when all is there
    WHOLE = auto()  # begin anew, and send all of it with the PUT
    ASK = auto()  # GET: how much is there
    RESTART = auto()  # begin anew
    DONE = auto()
    REFUSED = auto()  # what was answered is an error


@dataclass(frozen=True, slots=True)
class Session:
    """An upload of ``size`` bytes: where it goes on, how much is there, and in which chunks it is sent."""

    url: str
    size: int
    offset: int = 0
    chunk: int = 0  # bytes; 0: all that is left
    least: int = 0  # OCI-Chunk-Min-Length

    @property
    def end(self) -> int:
        """The byte behind those that go with the next PATCH."""
        return min(self.size, self.offset + max(self.chunk, self.least)) if self.chunk else self.size


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer says of an upload: its status, the URL to go on with, and ``Range``."""

    status: int
    url: str  # Location, followed; the request's own URL when there is none
    range: str = ""


def begun(told: Told, size: int, chunk: int, least: str) -> tuple[Next, Session]:
    """After POST: 201 is a mount (or the whole blob) that was taken, 202 an upload to go on with."""
    session = Session(told.url, size, chunk=chunk, least=headers.count(least) or 0)
    return {201: Next.DONE, 202: Next.SEND}.get(told.status, Next.REFUSED), session


def sent(session: Session, told: Told) -> tuple[Next, Session]:
    """After PATCH."""
    if told.status in (202, 204):
        there = headers.received(told.range)
        offset = session.end if there is None else there
        if not 0 < offset <= session.size:
            return Next.RESTART, session
        return Next.SEND, replace(session, url=told.url, offset=offset)
    if told.status == 201:
        # Amazon's ECR answers so, and then knows nothing of the upload (kitops#821).
        return Next.WHOLE, session
    if told.status == 413:
        smaller = session.chunk // 2 if session.chunk else FIRST_CHUNK
        if smaller < max(LEAST_CHUNK, session.least) or smaller >= session.size:
            return Next.REFUSED, session
        return Next.ASK, replace(session, chunk=smaller)
    return _failed(told.status), session


def asked(session: Session, told: Told) -> tuple[Next, Session]:
    """After GET of an upload. Whatever a registry does not know any more is begun anew."""
    there = headers.received(told.range)
    if told.status in (200, 202, 204) and there is not None and there <= session.size:
        return Next.SEND, replace(session, url=told.url, offset=there)
    if told.status in retry.AGAIN or told.status == 401:
        return Next.ASK, session
    return Next.RESTART, session


def ended(told: Told) -> Next:
    """After PUT: what is not there then has to be begun anew."""
    if told.status in (201, 204):
        return Next.DONE
    return Next.RESTART if _failed(told.status) is not Next.REFUSED else Next.REFUSED


def _failed(status: int) -> Next:
    if status in retry.AGAIN or status in (401, 416):
        return Next.ASK
    return Next.RESTART if status == 404 else Next.REFUSED
