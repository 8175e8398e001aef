"""All objects of one kind in memory, kept fresh by one watch.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any

from shipway.cluster.kubernetes.api.client import Api, Event, Expired
from shipway.cluster.kubernetes.api.resources import Resource
from shipway.cluster.kubernetes.names import Manifest
from shipway.cluster.kubernetes.watch.lean import Lean
from shipway.errors import ShipwayError
from shipway.ports import Clock

Subscriber = Callable[[str, Manifest | None], None]

_FIRST, _LONGEST = 0.5, 10.0  # seconds between two tries to watch
_CHANCE = secrets.SystemRandom()
_PAGE = 250  # objects of a list that are in memory as they came

log = logging.getLogger(__name__)


class Cache:
    """Objects by name, of one namespace (or a kind without). What it gives is shared: read it, do not change it.

    While the server is away it keeps what it has seen, and says since when (``stale_since``) and why (``failure``).
    Subscribers are told of each change once, in the loop, with the object as it is now (None: it is gone). What changed
    several times while the server was away is told once, an object that was made anew under its name too: compare
    ``metadata.uid``.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        clock: Clock,
        chance: Callable[[], float] = _CHANCE.random,
    ) -> None:
        self.stale_since: datetime | None = None
        self.failure: ShipwayError | None = None
        self._api = api
        self._resource = resource
        self._namespace, self._labels, self._fields = namespace, labels, fields
        self._clock = clock
        self._chance = chance
        self._lean = Lean()
        self._objects: dict[str, Manifest] = {}
        self._indexes: dict[str, dict[str, dict[str, None]]] = {}  # label, value, names
        self._subscribers: list[Subscriber] = []
        self._version = ""
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when all objects are there. Raises what :meth:`Api.list` raises; then it may be called again."""
        if self._task is None:
            await self._list()
            self._task = asyncio.create_task(self._follow(), name=f"watch {self._resource.title}")

    async def close(self) -> None:
        if task := self._task:
            self._task = None
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def get(self, name: str) -> Manifest | None:
        return self._objects.get(name)

    def items(self) -> tuple[Manifest, ...]:
        return tuple(self._objects.values())

    def by(self, label: str, value: str) -> tuple[Manifest, ...]:
        """Those with that label. The first question about a label makes an index of it, which is then kept."""
        if label not in self._indexes:
            self._indexes[label] = {}
            for name, one in self._objects.items():
                self._index(label, name, one)
        return tuple(self._objects[name] for name in self._indexes[label].get(value, ()))

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Told of each change from now on; what is returned ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    # --- keeping up

    async def _follow(self) -> None:
        while True:
            try:
                await self._watch()
            except asyncio.CancelledError:
                raise
            except Expired:
                log.info("%s: the server forgot version %s: listing again", self._resource.title, self._version)
                await self._relist()
            except ShipwayError as error:
                self._failed(error)
            except Exception:
                # A line that is no event, or our own bug: a cache that stands still unseen would be worse than a log.
                log.exception("%s: the watch failed", self._resource.title)
                await self._relist()
            # Also after a watch that ended in peace: many that began together shall not begin again together.
            longest = min(_LONGEST, _FIRST * 2**self._failures)
            await self._clock.sleep(longest * (0.5 + self._chance() / 2))

    async def _watch(self) -> None:
        events = self._api.watch(
            self._resource,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            resource_version=self._version,
            accepted=self._fresh,
        )
        async with aclosing(events):
            async for event in events:
                self._take(event)

    async def _relist(self) -> None:
        try:
            await self._list()
        except ShipwayError as error:
            self._failed(error)

    async def _list(self) -> None:
        """Objects page by page, so that only one page is in memory as it came."""
        listing = await self._api.list(
            self._resource,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            limit=_PAGE,
            into=self._lean,
        )
        found = {str(one["metadata"]["name"]): one for one in listing.items}
        for name in [name for name in self._objects if name not in found]:
            self._put(name, None)
        for name, one in found.items():
            self._put(name, one)
        self._version = listing.resource_version

    def _take(self, event: Event) -> None:
        metadata = event.object["metadata"]
        if event.type == "DELETED":
            self._put(metadata["name"], None)
        elif event.type != "BOOKMARK":
            self._put(metadata["name"], self._lean(event.object))
        self._version = metadata["resourceVersion"]  # when the object was taken, not before

    def _put(self, name: str, one: Manifest | None) -> None:
        before = self._objects.get(name)
        if _version(before) == _version(one):
            return
        for label in self._indexes:
            self._unindex(label, name, before)
            self._index(label, name, one)
        if one is None:
            del self._objects[name]
        else:
            self._objects[name] = one
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(name, one)
            except Exception:
                log.exception("a subscriber of %s failed", self._resource.title)

    def _index(self, label: str, name: str, one: Manifest | None) -> None:
        if (value := _label(one, label)) is not None:
            self._indexes[label].setdefault(value, {})[name] = None

    def _unindex(self, label: str, name: str, one: Manifest | None) -> None:
        if (value := _label(one, label)) is not None:
            names = self._indexes[label][value]
            del names[name]
            if not names:
                del self._indexes[label][value]

    def _fresh(self) -> None:
        if self.failure:
            log.info("%s is fresh again", self._resource.title)
        self.stale_since, self.failure, self._failures = None, None, 0

    def _failed(self, error: ShipwayError) -> None:
        if self.failure is None:
            log.warning("%s is as last seen: %s", self._resource.title, error.message)
            self.stale_since = self._clock.now()
        self.failure = error
        self._failures = min(self._failures + 1, 8)


def _version(one: Manifest | None) -> Any:
    return one and (one["metadata"].get("uid"), one["metadata"].get("resourceVersion"))


def _label(one: Manifest | None, label: str) -> str | None:
    labels: Mapping[str, str] = (one["metadata"].get("labels") or {}) if one else {}
    return labels.get(label)
