"""Which models leave when another one needs room: the least recently used. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resident(Generic[T]):
    """A loaded model: bytes that it takes, when it was used last (a count that grows), and whether requests hold it."""

    model: T
    size: int
    used: int
    held: bool


def leaving(residents: Iterable[Resident[T]], needed: int, budget: int) -> list[T] | None:
    """Whom to unload so that ``needed`` more bytes fit into ``budget`` (0: no limit); None when nothing makes it fit.

    Those that nobody holds go first, in the order of their last use: to unload one that is held is to wait for its
    requests.
    """
    if not budget:
        return []
    if needed > budget:
        return None
    order = sorted(residents, key=lambda one: (one.held, one.used))
    free = budget - sum(one.size for one in order)
    gone: list[T] = []
    for one in order:
        if free >= needed:
            break
        gone.append(one.model)
        free += one.size
    return gone
