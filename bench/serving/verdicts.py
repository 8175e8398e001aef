"""What the cases found, against the bars of issue 4. Pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Sense = Literal["at least", "at most"]
_HOLDS: dict[Sense, Callable[[float, float], bool]] = {"at least": operator.ge, "at most": operator.le}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar: ``value`` is to be ``sense`` ``bar``, both in ``unit``."""

    what: str
    value: float
    sense: Sense
    bar: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return _HOLDS[self.sense](self.value, self.bar)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for a reader."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one case found; ``raw`` is for the JSON file."""

    verdicts: Sequence[Verdict] = ()
    tables: Sequence[Table] = ()
    raw: dict[str, Any] = field(default_factory=dict)
