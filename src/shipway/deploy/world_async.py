"""All objects of a hub, kept fresh by its watch."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from shipway.async_client import AsyncHubClient
from shipway.deploy.documents import OBJECTS, Key, Object, key_of


class AsyncWorld:
    """What the hub has below ``path``: all objects, or those of one kind. Made by :meth:`of`."""

    def __init__(self, hub: AsyncHubClient, path: str = OBJECTS) -> None:
        self.objects: dict[Key, Object] = {}
        self.version = 0  # of the store: what was seen so far
        self._hub = hub
        self._path = path

    @classmethod
    async def of(cls, hub: AsyncHubClient, path: str = OBJECTS) -> Self:
        """The present world. Raises HubUnreachable."""
        world = cls(hub, path)
        await world.read()
        return world

    async def read(self) -> None:
        """Read everything anew."""
        answer = await self._hub.get(self._path)
        self.version = answer["resourceVersion"]
        self.objects = {key_of(one): one for one in answer["items"]}

    async def changes(self, wait: float | None = None) -> AsyncGenerator[Object, None]:
        """Changes as they come; ends after ``wait`` seconds of silence (None: never).

        Raises NotFound when what was seen last is older than what the hub keeps: read again.
        """
        limit = "" if wait is None else f"&wait={wait}"
        stream = self._hub.stream(f"{self._path}?watch=true&since={self.version}{limit}")
        async with aclosing(stream):
            async for event, change in stream:
                if event != "change":
                    continue
                self.version = change["version"]
                obj = change["object"]
                if change["type"] == "DELETED":
                    self.objects.pop(key_of(obj), None)
                else:
                    self.objects[key_of(obj)] = obj
                yield change
