"""When a server that ended is started again. Pure."""

from __future__ import annotations

_FIRST = 0.5
_LONG_RUN = 10.0
_GOOD_HEALTH = 60.0


def next_restart(failures: int, ran_for: float, healthy_for: float, longest: float) -> tuple[int, float]:
    """The number of ends in a row (this one counted), and the seconds to wait before the next start.

    ``failures`` are the ends in a row before this one; a minute of good health wipes them out. A first
    end after a long run is restarted at once, further ones after 0.5, 1, 2 ... ``longest`` seconds.
    """
    row = 1 if healthy_for >= _GOOD_HEALTH else failures + 1
    if row == 1 and ran_for > _LONG_RUN:
        return row, 0.0
    # 2**6 is beyond the longest wait; a larger exponent would overflow after a week of crashes.
    return row, min(longest, _FIRST * 2 ** min(row - 1, 6))
