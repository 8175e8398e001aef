"""Where a model runs: in threads of the server, or in processes of its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shipway.runtime.server.settings import Isolation


@dataclass(frozen=True, slots=True)
class Choice:
    """Where, and why, in words for the log."""

    isolation: Literal["thread", "process"]
    reason: str


def isolation_of(requested: Isolation, *, predictor: bool) -> Choice:
    """Threads copy nothing and need no second process; they suit engines that release the interpreter's lock while
    they compute. ``predictor``: whether the model is code of the user's own. Nothing is known of such code without
    running it, and a call of it may hold the lock, hang or crash: it gets a process.
    """
    if requested != "auto":
        return Choice(requested, f"`isolation: {requested}` asks for it")
    if predictor:
        return Choice("process", "a predictor's code may hold the interpreter's lock")
    return Choice("thread", "the model's engine releases the interpreter's lock")
