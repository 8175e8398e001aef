"""The hub of this home, as commands that only read see it: they never start one."""

from __future__ import annotations

from shipway import hub_process, settings
from shipway.client import HubClient


def connect() -> HubClient:
    """A client of the hub of this home. Nothing is sent yet. Raises what the last hub said when it could not serve."""
    where = settings.read()
    hub_process.check_owner(where)
    told = hub_process.failure(where)
    if told is not None:
        raise told
    return HubClient(where.hub_socket)
