"""The hub of this home, as commands that only read see it: they never start one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shipway import settings
from shipway.client import HubClient

OBJECTS = "/apis/shipway.dev/v1alpha1"

Key = tuple[str, str]  # kind, name


def connect() -> HubClient:
    """A client of the hub of this home. Nothing is sent yet."""
    return HubClient(settings.read().hub_socket)


class World:
    """All objects of the hub, kept fresh by its watch."""

    def __init__(self, hub: HubClient, path: str = OBJECTS) -> None:
        self.objects: dict[Key, Mapping[str, Any]] = {}
        self._hub = hub
        self._path = path
        self._version = 0
        self.read()

    def read(self) -> None:
        """Read everything anew."""
        answer = self._hub.get(self._path)
        self._version = answer["resourceVersion"]
        self.objects = {key_of(one): one for one in answer["items"]}

    def changes(self, wait: float | None = None) -> Iterator[Mapping[str, Any]]:
        """Changes as they come; ends after ``wait`` seconds of silence (None: never)."""
        limit = "" if wait is None else f"&wait={wait}"
        for event, change in self._hub.stream(f"{self._path}?watch=true&since={self._version}{limit}"):
            if event != "change":
                continue
            self._version = change["version"]
            obj = change["object"]
            if change["type"] == "DELETED":
                self.objects.pop(key_of(obj), None)
            else:
                self.objects[key_of(obj)] = obj
            yield change


def key_of(obj: Mapping[str, Any]) -> Key:
    """``(kind, name)`` of an object's JSON."""
    return obj["kind"], obj["metadata"]["name"]
