"""The hub of this home, as commands that change something see it: started when none runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shipway import hub_process, settings
from shipway.client import HubClient
from shipway.errors import HubUnreachable

T = TypeVar("T")

_MOST_RESTARTS = 5  # of the hub during one request


def ensured() -> HubClient:
    """A client of the home's hub, after making sure that it answers."""
    where = settings.read()
    hub_process.ensure(where)
    return HubClient(where.hub_socket)


def persisted(act: Callable[[HubClient], T]) -> T:
    """What ``act`` gives; done again on the next hub when that one died meanwhile: asked twice must be asked once.

    Raises HubUnreachable when the hub dies again and again.
    """
    for _ in range(_MOST_RESTARTS):
        try:
            return act(ensured())
        except HubUnreachable:
            continue
    return act(ensured())
