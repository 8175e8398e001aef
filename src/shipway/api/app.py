"""The application: all endpoints over one backend, and every error as JSON."""

from __future__ import annotations

import asyncio
import errno
from functools import cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from shipway.api import (
    artifacts,
    clusters,
    data,
    gc,
    journal,
    logs,
    models,
    objects,
    openapi,
    secrets,
    signatures,
    system,
    transfers,
    why,
)
from shipway.api.backend import Backend
from shipway.api.endpoint import OBJECT, Endpoint, NoQuery
from shipway.api.guard import Guard
from shipway.api.requests import query
from shipway.api.responses import Json, error_response
from shipway.errors import EnvironmentFault, NotFound, PlatformError, ShipwayError, UserError


def build(backend: Backend, token: str | None) -> Starlette:
    """The hub's API. Without a ``token`` nobody is let in by TCP.

    ``app.state.stop`` is an asyncio.Event that ends the event streams; :func:`shipway.api.serve.serve` sets its own.
    """
    app = Starlette(
        routes=[Route(one.path, one.handler, methods=[one.method]) for one in ENDPOINTS],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={
            ShipwayError: _told,
            HTTPException: _not_routed,
            ClientDisconnect: _nobody_listens,
            OSError: _machine,
            Exception: _bug,
        },
    )
    app.router.redirect_slashes = False  # an empty name is an error that says so, not a redirect to the list
    app.state.backend = backend
    app.state.stop = asyncio.Event()
    return app


async def openapi_document(request: Request) -> Response:
    query(request, NoQuery)
    return _openapi()


@cache
def _openapi() -> Json:
    return Json(openapi.document(ENDPOINTS))


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, ShipwayError)
    return error_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = sorted({one.method for one in ENDPOINTS if Route(one.path, one.handler).path_regex.match(path)})
        wrong = UserError(f"{path} does not know {request.method}; it knows {', '.join(allowed)}")
        answer = error_response(wrong, status=405)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    return error_response(
        NotFound(f"there is no path {path}", next_step="GET /openapi.json lists all paths."), status=error.status_code
    )


async def _nobody_listens(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # the client went away in the middle of its own request


async def _machine(request: Request, error: Exception) -> Response:
    """A disk that is full is no bug of ours; other accidents of the operating system may be."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or "the home's disk"
        full = EnvironmentFault(f"the disk is full: cannot write {where}", next_step="Free some space and try again.")
        return error_response(full)
    raise error


async def _bug(request: Request, error: Exception) -> Response:
    # Starlette raises the error again behind this answer; uvicorn writes it to the hub's log.
    bug = PlatformError(f"{type(error).__name__} in {request.method} {request.url.path}: {error}")
    return error_response(bug)


ENDPOINTS: tuple[Endpoint, ...] = (
    *objects.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *logs.ENDPOINTS,
    *journal.ENDPOINTS,
    *models.ENDPOINTS,
    *transfers.ENDPOINTS,
    *data.ENDPOINTS,
    *signatures.ENDPOINTS,
    *why.ENDPOINTS,
    *gc.ENDPOINTS,
    *clusters.ENDPOINTS,
    *secrets.ENDPOINTS,
    *system.ENDPOINTS,
    Endpoint("GET", "/openapi.json", openapi_document, "This document", OBJECT),
)
