"""Long work of the hub, asked for and followed to its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

from shipway.async_client import AsyncHubClient
from shipway.errors import HubUnreachable
from shipway.transfer import Progress, silent


async def operate(
    hub: AsyncHubClient, path: str, document: Mapping[str, Any], report: Callable[[Progress], None] = silent
) -> Mapping[str, Any]:
    """POST, tell the progress as it comes, and give the result. Raises what the work raised, and HubUnreachable."""
    async with aclosing(hub.stream(path, document)) as events:
        async for event, data in events:
            if event == "progress":
                report(Progress(**data))
            elif event == "result":
                result: Mapping[str, Any] = data
                return result
    raise HubUnreachable(
        f"the hub ended {path} without a result", next_step="Ask again: what was done is not done twice."
    )
