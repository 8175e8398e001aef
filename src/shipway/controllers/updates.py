"""Read, change, write: again when somebody else wrote in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shipway.errors import Conflict, NotFound, PlatformError
from shipway.kinds import FORCE_CONFLICTS, Object
from shipway.ports import Store

T = TypeVar("T", bound=Object)

_ATTEMPTS = 10  # one hub writes, so a conflict is a user's apply in between: the next try wins

FINALIZER = "shipway.dev/workloads"  # set on objects whose processes must end before they go


def find(store: Store, cls: type[T], name: str) -> T | None:
    """The object, or None when there is none."""
    try:
        found = store.get(cls.__name__, name)
    except NotFound:
        return None
    assert isinstance(found, cls)
    return found


def all_of(store: Store, cls: type[T]) -> list[T]:
    """All objects of a kind."""
    return [one for one in store.list(cls.__name__)[0] if isinstance(one, cls)]


def update(store: Store, cls: type[T], name: str, change: Callable[[T], T]) -> T | None:
    """Apply a pure change to the stored object; None when it is gone. ``change`` may be called again."""
    for _ in range(_ATTEMPTS):
        present = find(store, cls, name)
        if present is None:
            return None
        changed = change(present)
        if changed == present:
            return present  # most passes: 0.02 ms, where a put that changes nothing takes 0.5
        try:
            written = store.put(changed)
        except Conflict:
            continue
        except NotFound:
            return None
        assert isinstance(written, cls)
        return written
    raise PlatformError(f"{cls.__name__}/{name} changed {_ATTEMPTS} times while its status was written")


def ensure(store: Store, obj: T) -> T:
    """Create it, or leave the one that exists; the stored object."""
    present = find(store, type(obj), obj.name)
    if present is not None:
        return present
    created = store.put(obj)
    assert isinstance(created, type(obj))
    return created


def is_leaving(obj: Object) -> bool:
    """Whether it was deleted and waits for its finalizers."""
    return obj.metadata.deletion_timestamp is not None


def with_finalizer(obj: T) -> T:
    """The object with our finalizer."""
    if FINALIZER in obj.metadata.finalizers:
        return obj
    metadata = obj.metadata.model_copy(update={"finalizers": (*obj.metadata.finalizers, FINALIZER)})
    return obj.model_copy(update={"metadata": metadata})


def without_finalizer(obj: T) -> T:
    """The object without our finalizer: the store removes it when it was the last of a deleted object."""
    kept = tuple(one for one in obj.metadata.finalizers if one != FINALIZER)
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"finalizers": kept})})


def forced_once(store: Store, obj: Object) -> None:
    """Fields were taken from others as it was asked (``--force-conflicts``): this once, and not at each later pass."""
    if FORCE_CONFLICTS not in obj.metadata.annotations:
        return

    def change(one: Object) -> Object:
        kept = {name: value for name, value in one.metadata.annotations.items() if name != FORCE_CONFLICTS}
        return one.model_copy(update={"metadata": one.metadata.model_copy(update={"annotations": kept})})

    update(store, type(obj), obj.name, change)
