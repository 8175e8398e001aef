"""What the local cluster asks of whoever makes Python environments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipway.bundle import Environment


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that satisfies an :class:`Environment`.

    ``python.parent`` is put first on ``PATH``; ``python_path`` entries become ``PYTHONPATH``;
    ``description`` says in words which one it is ("this Python 3.11.7, which has them all"). ``lock`` is what the
    requirements came to, with all that they need: sorted ``name==version`` lines.
    """

    python: Path
    description: str
    python_path: tuple[str, ...] = ()
    lock: tuple[str, ...] = ()


class Environments(Protocol):
    """Finds or builds the interpreter of an environment."""

    def existing(self, environment: Environment) -> Interpreter | None:
        """The interpreter, when it is there without building anything; takes micro- to milliseconds."""
        ...

    def build(self, environment: Environment) -> Interpreter:
        """Make it; may take minutes, so call it in a thread. Idempotent, and safe across processes.

        Raises DependencyFailed when the tool that builds it fails (its last words are in the message),
        UserError for a requirement line that cannot be read.
        """
        ...
