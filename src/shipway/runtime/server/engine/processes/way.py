"""What differs between workers: how a model of one kind or the other is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.post import Post
from shipway.runtime.server.engine.processes.wire import Failed, Run
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.refusals import Reason, Refused


class Way(Protocol):
    """One call at a time, or many."""

    def first(self, model: Model, request: Call) -> Mapping[str, Array]:
        """The outputs of the warm-up call, or the first item of a stream. Raises BadInput, Refused."""

    def serve(self, model: Model, post: Post) -> None:
        """Until the server says stop. Raises EOFError and ConnectionError when it has gone."""


def asked(channel: Channel, run: Run) -> Call:
    """The call that a message stands for."""
    return Call(channel.read(run.inputs), run.wanted, run.parameters, run.id, run.expires)


def failed(number: int, error: Exception) -> Failed:
    """The message for an error of a call."""
    match error:
        case BadInput():
            return Failed(number, None, str(error), None)
        case Refused():
            return Failed(number, error.reason.name, error.message, error.retry_after)
        case _:  # the model did its part, and its outputs cannot be written
            return Failed(number, Reason.FAILED.name, f"the outputs: {type(error).__name__}: {error}", None)
