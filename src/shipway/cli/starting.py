"""The hub of this home, as commands that change something see it: started when none runs."""

from __future__ import annotations

from shipway import hub_process, settings
from shipway.client import HubClient


def ensured() -> HubClient:
    """A client of the home's hub, after making sure that it answers."""
    where = settings.read()
    hub_process.ensure(where)
    return HubClient(where.hub_socket)
