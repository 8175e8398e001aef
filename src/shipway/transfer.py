"""What long work tells while it runs, and who listens: a push, a pull, an import; and bytes in words. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

THERE = "there already"  # a note


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one part of the work stands: ``what`` names the part (a file, a layer), the numbers are bytes.

    ``note`` says what is particular about it: "there already", "mounted from team/base", "resumed at 12 MB".
    """

    what: str
    done: int
    total: int | None = None
    note: str = ""

    @property
    def over(self) -> bool:
        """Nothing more will come of this part."""
        return self.total is not None and self.done >= self.total


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Listens to nothing."""


def size(count: int) -> str:
    """Bytes for people: ``1.2 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
