"""Families of samples as the text that Prometheus reads. Pure.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name and what it counts. ``about`` is one line."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    about: str


@dataclass(slots=True)
class Page:
    """An exposition in the making. The samples of a family stand together, whatever order they come in."""

    _families: dict[Family, list[str]] = field(default_factory=dict)

    def add(self, family: Family, value: float, labels: Mapping[str, str] | None = None, suffix: str = "") -> None:
        """One line of a family."""
        inner = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in (labels or {}).items())
        braces = f"{{{inner}}}" if inner else ""
        self._families.setdefault(family, []).append(f"{family.name}{suffix}{braces} {_number(value)}")

    def add_all(
        self, family: Family, samples: Iterable[tuple[str, Mapping[str, str], float]], labels: Mapping[str, str]
    ) -> None:
        """Lines of a family: each has suffix, labels of its own, and value."""
        for suffix, more, value in samples:
            self.add(family, value, {**labels, **more}, suffix)

    def text(self) -> str:
        """All of it."""
        lines: list[str] = []
        for family, samples in self._families.items():
            lines += (f"# HELP {family.name} {family.about}", f"# TYPE {family.name} {family.kind}", *samples)
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.17g}"
