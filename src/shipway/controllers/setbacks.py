"""A reconcile that fails again and again shows on its object: who waits for it must not wait in the dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipway.controllers.queue import Key
from shipway.controllers.recorder import Recorder
from shipway.controllers.updates import find, update
from shipway.errors import ShipwayError
from shipway.kinds import KINDS, Object
from shipway.ports import Clock, Store

RECONCILED = "Reconciled"

_PATIENCE = 3  # failures in a row; fewer are nobody's business: a conflict, a cluster that was busy
_TOLD = frozenset(_PATIENCE * 2**doubled for doubled in range(40))


@dataclass(frozen=True, slots=True)
class Setbacks:
    """Keeps the condition ``Reconciled``: absent while nothing ever failed, False while the controller fails."""

    store: Store
    recorder: Recorder
    clock: Clock

    def succeeded(self, key: Key) -> None:
        """Whatever an earlier hub or this one wrote is over."""
        kind = KINDS.get(key[0])
        present = find(self.store, kind, key[1]) if kind is not None else None
        if present is None or present.status.condition(RECONCILED) is None or present.status.is_true(RECONCILED):
            return
        message = "the controller gets on with it again"
        self.recorder.event("/".join(key), "Reconciled", message)
        self._mark(key, "True", "Reconciled", message)

    def failed(self, key: Key, error: Exception, failures: int) -> None:
        """Told at the third failure in a row, and each time that there are twice as many.

        What is written to an object wakes its reconcile at once: with an error that reads differently each time (a
        number, a name), telling each failure would be a loop without a back-off.
        """
        if key[0] not in KINDS or failures not in _TOLD:
            return
        said = error.message if isinstance(error, ShipwayError) else f"{type(error).__name__}: {error}"
        self.recorder.event("/".join(key), "ReconcileFailed", said)
        self._mark(key, "False", "ReconcileFailed", said)

    def _mark(self, key: Key, status: Literal["True", "False"], reason: str, message: str) -> None:
        def change(one: Object) -> Object:
            told = one.with_condition(RECONCILED, status, reason, message, now)
            return told.observed_at(one.status.observed_generation)  # nothing of the spec was answered by this

        now = self.clock.now()
        update(self.store, KINDS[key[0]], key[1], change)
