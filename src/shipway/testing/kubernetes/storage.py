"""What etcd and the watch cache are to an API server: objects, one growing version, and the changes since."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from shipway.testing.kubernetes.answers import expired
from shipway.testing.kubernetes.schema import Kind

Object = dict[str, Any]
Key = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class Change:
    """One write. ``before`` and ``after``: None when there was, or is, no object."""

    version: int
    resource: str
    before: Object | None
    after: Object | None


def clone(value: Any) -> Any:
    """A copy that shares nothing; of JSON data."""
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else copy.copy(value)


@dataclass
class Storage:
    """Objects are given out and taken in as they are: who changes one clones it first."""

    version: int = 100
    oldest: int = 0  # changes up to this version are forgotten
    objects: dict[str, dict[Key, Object]] = field(default_factory=dict)  # by qualified plural
    changes: list[Change] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object as it is stored."""
        return self.objects.get(kind.qualified, {}).get((namespace, name))

    def items(self, kind: Kind, namespace: str = "") -> list[Object]:
        """All of a kind (of all namespaces when none is named), sorted as the real one does."""
        found = self.objects.get(kind.qualified, {})
        return [found[key] for key in sorted(found) if namespace in ("", key[0])]

    def put(self, kind: Kind, obj: Object) -> Object:
        """Store it under a new version."""
        mine, key = self.objects.setdefault(kind.qualified, {}), _key_of(kind, obj)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, kind.qualified, mine.get(key), obj))
        mine[key] = obj
        return obj

    def remove(self, kind: Kind, obj: Mapping[str, Any]) -> Object:
        """Forget it; the object as it was last, with the version of its removal."""
        self.version += 1
        before = self.objects[kind.qualified].pop(_key_of(kind, obj))
        gone: Object = clone(before)
        gone["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Change(self.version, kind.qualified, gone, None))
        return gone

    def compact(self) -> None:
        """Forget all changes: who watches from before is told 410."""
        self.changes.clear()
        self.oldest = self.version

    async def follow(self, resource: str, since: int) -> AsyncIterator[Change | None]:
        """Changes of a resource after a version; None whenever it has caught up. Raises Refusal (410)."""
        while True:
            if since < self.oldest:
                raise expired(since, self.oldest)
            for one in self.changes[max(0, len(self.changes) - (self.version - since)) :]:
                if one.version > since:
                    since = one.version
                    if one.resource == resource:
                        yield one
            if since >= self.version:
                yield None

    async def news(self, seconds: float) -> bool:
        """Wait for the next change, and not longer than that; whether there is one."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._news.wait(), seconds)
        return False

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until a condition on what is stored holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self._news.wait()

    def wake(self) -> None:
        """Everybody who waits for news looks again."""
        self._news.set()
        self._news = asyncio.Event()

    def _tell(self, change: Change) -> None:
        self.changes.append(change)
        self.wake()


def _key_of(kind: Kind, obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", "") if kind.namespaced else "", metadata["name"]
