"""Whether a call that must wait may wait. Pure."""

from __future__ import annotations

from shipway.runtime.server.refusals import Reason, Refused

_UNLEARNED = 1024  # calls that may wait while nobody knows what one costs
_BYTES = 256 * 2**20
PER_CALL = 4096  # bytes that a waiting request takes besides its arrays: headers, task, connection


def refusal(
    waiting: int, size: int, wait: float | None, *, more: int, cost: float, left: float, queue: float
) -> Refused | None:
    """Why the call is not taken, or None.

    ``waiting`` calls of ``size`` bytes are there, and ``wait`` seconds are predicted until this one, of ``more`` bytes,
    begins (None: nothing is known yet); ``cost``: seconds that it then takes; ``left``: seconds to its deadline;
    ``queue``: seconds that calls may wait.

    A call that would miss its deadline is OVERLOADED and not EXPIRED: its time is not over, and later, or elsewhere,
    the same call can be answered in time. What need not wait is not refused: a prediction may be wrong, and on an idle
    server a try costs nobody anything.
    """
    if waiting and size + more > _BYTES:
        return _overloaded(f"{size >> 20} MiB of requests wait already", wait or 1.0)
    if wait is None:
        if waiting >= _UNLEARNED:
            return _overloaded(f"{waiting} requests wait already", 1.0)
        return None
    if wait > queue:
        return _overloaded(
            f"it would wait {wait:.3g} s, and may wait {queue:g} s (queue in the service's server block)",
            wait - queue,
        )
    excess = wait + cost - left
    if excess > 0:
        return _overloaded(f"it would be answered in {wait + cost:.3g} s, and its deadline is in {left:.3g} s", excess)
    return None


def _overloaded(why: str, retry_after: float) -> Refused:
    return Refused(Reason.OVERLOADED, f"too many requests: {why}", retry_after)
