"""A store that tells its listeners that something was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from shipway.kinds import Object
from shipway.ports import Change, Store
from shipway.subscribers import Subscribers


class NotifyingStore:
    """Wraps a store; ``callback()`` runs after each write that changed something, in the writer's thread.

    A put that wrote nothing (an identical object) tells nobody: a controller that writes the same
    status on every pass must not wake itself.
    """

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._subscribers = Subscribers()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` from now on; the answer ends that. It must be quick and must not raise."""
        return self._subscribers.add(callback)

    def get(self, kind: str, name: str) -> Object:
        return self._inner.get(kind, name)

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        return self._inner.list(kind)

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        return self._inner.texts(kind)

    def put(self, obj: Object) -> Object:
        stored = self._inner.put(obj)
        self._tell(stored, before=obj)
        return stored

    def delete(self, kind: str, name: str) -> Object:
        before = self._inner.get(kind, name)
        after = self._inner.delete(kind, name)
        self._tell(after, before=before)
        return after

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        return self._inner.watch(since, kind=kind, wait=wait)

    def close(self) -> None:
        self._inner.close()

    def _tell(self, after: Object, *, before: Object) -> None:
        if after.metadata.resource_version != before.metadata.resource_version:
            self._subscribers.tell()
