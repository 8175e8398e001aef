"""What an API server's "no" means, as one of our errors. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shipway.cluster.kubernetes.api.calls import Call
from shipway.cluster.kubernetes.api.server import Server
from shipway.errors import ClusterRefused, ClusterUnreachable, Conflict, NotFound, ShipwayError, UserError

_NO_RIGHT = re.compile(r'cannot (?P<verb>\S+) resource "(?P<what>[^"]+)"')
_MANAGER = re.compile(r'conflicts? with "(?P<manager>[^"]+)"')
_NOT_TYPED = "failed to create typed patch object"  # server-side apply answers an unknown field with 500
_MOST = 2000  # characters of a message: a webhook may say anything


class Expired(Exception):
    """The version to go on from is too old (410): list again."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that somebody else manages: ``.spec.replicas``."""

    manager: str
    field: str


class FieldsOwned(Conflict):
    """Server-side apply: other managers own fields that we set, and want other values there."""

    def __init__(self, message: str, causes: tuple[Cause, ...], *, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.causes = causes

    @property
    def code(self) -> str:
        return Conflict.__name__  # for whoever is told of it by JSON


def error(
    status: int, document: Mapping[str, Any], call: Call, server: Server, *, ended: datetime | None = None
) -> ShipwayError | Expired:
    """The error that tells of it. ``document`` is Kubernetes' Status, or empty where a proxy answered; ``ended``: since
    when the credential that was shown is no longer good, by its own words."""
    said = str(document.get("message") or f"HTTP {status}")[:_MOST]
    reason = str(document.get("reason") or "")
    match status:
        case 410:
            return Expired(said)
        case 401:
            return _unauthorized(server, ended)
        case 403:
            return _forbidden(said, reason, call, server)
        case 404:
            return _missing(document, said, call, server)
        case 409:
            return _conflict(document, said, call)
        case 400 | 422 if call.body or reason:  # without a reason it is not Kubernetes that we asked (http for https)
            return _invalid(said, call, server)
        case 500 if said.startswith(_NOT_TYPED):
            return _invalid(said, call, server)
        case 500 if reason and call.body:  # an answer of Kubernetes itself: mostly a webhook that does not answer
            return _refused(status, said, reason, call, server)
        case status if status == 429 or status >= 500:
            return _fails(said, call, server)
        case _:
            return _refused(status, said, reason, call, server)


def _invalid(said: str, call: Call, server: Server) -> UserError:
    return UserError(f"{server} does not take it ({call}): {said}")


def _refused(status: int, said: str, reason: str, call: Call, server: Server) -> ClusterRefused:
    return ClusterRefused(f"{server} refuses to {call}: {said}", status=status, reason=reason)


def _unauthorized(server: Server, ended: datetime | None) -> ClusterRefused:
    why = f"it expired at {ended:%Y-%m-%d %H:%M} UTC" if ended else "it was revoked, or is of another cluster"
    return ClusterRefused(
        f"{server} does not accept {server.identity}: {why}.",
        next_step=f"Log in again, and try: kubectl{server.flags} auth whoami",
        status=401,
        reason="Unauthorized",
    )


def _forbidden(said: str, reason: str, call: Call, server: Server) -> ClusterRefused:
    """No right, or no by an admission plugin, a quota, a webhook: only the text tells which."""
    if not (right := _NO_RIGHT.search(said)):
        return _refused(403, said, reason, call, server)
    place = f' in namespace "{call.namespace}"' if call.namespace else " in the whole cluster"
    return ClusterRefused(
        f"{server.identity} may not {right['verb']} {right['what']}{place} of {server}: {said}",
        next_step="shipway cluster add --print-rbac prints the Role that is needed; who runs the cluster can apply it.",
        status=403,
        reason=reason or "Forbidden",
    )


def _fails(said: str, call: Call, server: Server) -> ClusterUnreachable:
    step = "What runs there goes on, and Shipway asks again; see to the control plane if it stays so."
    if "/" in call.what:  # pods/log, pods/portforward: the API server only passes it on
        step = f"The API server passes this on to the Pod's node: is it up? kubectl{server.flags} get nodes"
    return ClusterUnreachable(f"{server} fails: {call}: {said}", next_step=step)


def _missing(document: Mapping[str, Any], said: str, call: Call, server: Server) -> NotFound | ClusterUnreachable:
    details = document.get("details") or {}
    if "/" in str(details.get("kind", "")):
        # The Pod is there, and its kubelet does not know it: one that was started a moment ago knows none yet.
        return _fails(f"its node does not know this Pod (yet): {said}", call, server)
    if details.get("kind") == "namespaces" and call.what != "namespaces":
        name = details.get("name", call.namespace)
        return NotFound(
            f'There is no namespace "{name}" in {server}.',
            next_step=f"Make it: kubectl{server.flags} create namespace {name}",
        )
    if not details.get("name"):  # no such path: not one object is missing but the kind
        return NotFound(f"{server} does not know {call.what}: {said}")
    return NotFound(f'There is no {call.what} "{call.name}" in namespace "{call.namespace}" of {server}: {said}')


def _conflict(document: Mapping[str, Any], said: str, call: Call) -> Conflict:
    found = (document.get("details") or {}).get("causes") or ()
    causes = tuple(
        Cause(manager["manager"], str(one.get("field", "")))
        for one in found
        if one.get("reason") == "FieldManagerConflict" and (manager := _MANAGER.search(str(one.get("message", ""))))
    )
    if not causes:
        return Conflict(f"{call}: {said}", next_step="Read it again, and try again.")
    managers = ", ".join(sorted({cause.manager for cause in causes}))
    fields = ", ".join(f"{cause.field} ({cause.manager})" for cause in causes)
    return FieldsOwned(
        f'{managers} manages fields of {call.what} "{call.name}" that Shipway sets: {fields}',
        causes,
        next_step="Take them out there, or take them over with --force-conflicts.",
    )
