"""Who wants to hear that something was written: a list of callbacks that any thread may use."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Subscribers:
    """Callbacks without arguments: they say that there is something new, not what."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[object, Callable[[], None]] = {}

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call it from now on; the answer ends that, however often it is called."""
        ticket = object()  # one callback may be added twice
        with self._lock:
            self._callbacks[ticket] = callback

        def remove() -> None:
            with self._lock:
                self._callbacks.pop(ticket, None)

        return remove

    def tell(self) -> None:
        """Call all of them, in this thread, without the lock: they may add and remove."""
        with self._lock:
            callbacks = list(self._callbacks.values())
        for callback in callbacks:
            callback()
