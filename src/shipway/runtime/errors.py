"""The two things that can be wrong in a workload, by who must act: the caller, or the owner of the model."""

from __future__ import annotations


class BadInput(ValueError):
    """A request's values make no sense to the model: the caller gets 400 with this text.

    User code may raise it in ``predict``; any other exception there is a 500.
    """


class ModelRefused(Exception):
    """The model cannot be served. One line: which file, why, what to do. The server exits with 3."""

    def __init__(self, reason: str) -> None:
        super().__init__(" ".join(reason.split()))
