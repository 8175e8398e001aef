"""What the store holds, in memory: parsed once, found by owner, never behind a write of this process.

A pass over 1,000 services asks for each one's revisions: a list of all revisions each time would read a million
objects. Source of the idea: informers with indexers, as Kubernetes' controllers read (client-go, tools/cache).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from shipway.errors import NotFound
from shipway.kinds import ModelService, Object, Revision, split_reference
from shipway.ports import Change
from shipway.store import semantics
from shipway.store.notifying import NotifyingStore

T = TypeVar("T", bound=Object)


def owner_of(obj: Object) -> str | None:
    """What an object is found by besides its name: a revision's service, a service's model. Pure."""
    match obj:
        case Revision():
            return obj.spec.service
        case ModelService() if obj.spec.model is not None:
            return split_reference(obj.spec.model)[0]
        case _:
            return None


class Objects:
    """:class:`shipway.ports.Store` whose reads come from memory. Any thread may call.

    Who writes through ``store`` makes the memory stale, and the next read takes in the changes first. Another
    process's write is seen with the next one of ours, at the latest with the Conflict or NotFound that it causes.
    """

    def __init__(self, store: NotifyingStore) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._stale = False
        self._version = 0
        self._by_kind: dict[str, dict[str, Object]] = {}
        self._by_owner: dict[tuple[str, str], dict[str, Object]] = {}
        self._forget_me = store.subscribe(self._expire)
        self._read_all()

    def get(self, kind: str, name: str) -> Object:
        with self._lock:
            self._catch_up()
            found = self._by_kind.get(kind, {}).get(name)
        return found if found is not None else self._store.get(kind, name)  # which says why there is none

    def list(self, kind: str | None = None) -> tuple[list[Object], int]:
        if kind is not None:
            semantics.check_kind(kind)
        with self._lock:
            self._catch_up()
            kinds = sorted(self._by_kind) if kind is None else [kind]
            return [one for each in kinds for one in _sorted(self._by_kind.get(each, {}))], self._version

    def texts(self, kind: str | None = None) -> tuple[Sequence[str], int]:
        return self._store.texts(kind)

    def of(self, cls: type[T], owner: str) -> tuple[T, ...]:
        """The objects of a kind that belong to that owner (see :func:`owner_of`), sorted by name."""
        with self._lock:
            self._catch_up()
            found = _sorted(self._by_owner.get((cls.__name__, owner), {}))
        return tuple(one for one in found if isinstance(one, cls))

    def put(self, obj: Object) -> Object:
        with self._expired_by_failure():
            return self._store.put(obj)

    def delete(self, kind: str, name: str) -> Object:
        with self._expired_by_failure():
            return self._store.delete(kind, name)

    def watch(self, since: int, *, kind: str | None = None, wait: float = 0.0) -> Iterator[Change]:
        return self._store.watch(since, kind=kind, wait=wait)

    def close(self) -> None:
        """Let go of the store, which goes on."""
        self._forget_me()

    @contextmanager
    def _expired_by_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            self._expire()  # it may come from another process's write: the next try must see that
            raise

    def _expire(self) -> None:
        self._stale = True

    def _catch_up(self) -> None:
        if not self._stale:
            return
        self._stale = False  # before reading: what is written meanwhile makes it stale again
        try:
            self._read_changes()
        except BaseException:
            self._stale = True
            raise

    def _read_changes(self) -> None:
        try:
            for change in self._store.watch(self._version):
                self._take(change)
        except NotFound:  # the change log was cut since
            self._read_all()

    def _read_all(self) -> None:
        objects, self._version = self._store.list()
        self._by_kind, self._by_owner = {}, {}
        for obj in objects:
            self._keep(obj)

    def _take(self, change: Change) -> None:
        kind, name = change.object.key
        before = self._by_kind.get(kind, {}).pop(name, None)
        owner = owner_of(before) if before is not None else None
        if owner is not None:
            siblings = self._by_owner[kind, owner]
            del siblings[name]
            if not siblings:
                del self._by_owner[kind, owner]
        if change.type != "DELETED":
            self._keep(change.object)
        self._version = change.version

    def _keep(self, obj: Object) -> None:
        self._by_kind.setdefault(obj.kind, {})[obj.name] = obj
        owner = owner_of(obj)
        if owner is not None:
            self._by_owner.setdefault((obj.kind, owner), {})[obj.name] = obj


def _sorted(named: dict[str, Object]) -> Iterable[Object]:
    return [named[name] for name in sorted(named)]
