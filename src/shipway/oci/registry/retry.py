"""When to try again, and after how long. Pure: time and chance are arguments.

Sources: RFC 6585 (429), RFC 9110 (Retry-After); "full jitter" of the AWS Architecture Blog, "Exponential Backoff And
Jitter" (2015): many clients that were cut off at once do not come back at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

FIRST = 0.25  # seconds
LONGEST = 20.0
AGAIN = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Tries:
    """How often something failed since it last made progress, and how long was waited in between, in seconds.

    A try itself is not measured: it ends when nothing moves, and may carry gigabytes before it breaks.
    """

    failures: int = 0
    waited: float = 0.0

    def failed(self) -> Self:
        return replace(self, failures=self.failures + 1)

    def after(self, seconds: float) -> Self:
        """When so much longer was waited."""
        return replace(self, waited=self.waited + seconds)


def pause(
    tries: Tries,
    chance: float,
    *,
    status: int | None = None,
    wanted: float | None = None,
    attempts: int,
    patience: float,
) -> float | None:
    """Seconds to wait before the next try; None: give up.

    ``tries`` counts the failure that has just been; ``status`` is None for a broken connection; ``wanted`` is the
    server's Retry-After; ``chance`` lies in [0, 1).
    """
    if status is not None and status not in AGAIN:
        return None
    if tries.failures >= attempts:
        return None
    grown = min(LONGEST, FIRST * 2.0 ** (tries.failures - 1))
    # A server's own number is a floor: all who were told the same one must not come back at the same moment.
    seconds = wanted + FIRST * chance if wanted is not None else grown * (0.5 + chance / 2)
    return seconds if tries.waited + seconds <= patience else None
