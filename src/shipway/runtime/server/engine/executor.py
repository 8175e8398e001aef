"""The seam between scheduling and running: what runs a model's calls, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.signature import Signature

Done = Callable[[Answer | Exception], None]


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a loaded model without having it: it may live in another process.

    ``concurrent``: many calls at a time run in one event loop (``async def predict``); ``streams``: a call gives a
    sequence of outputs (a generator). Neither kind is batched. ``brief_rows``: how many rows the model answers in less
    time than it takes to hand them to a thread and back; 0 where it is always handed over.
    """

    format: str  # as the protocol's ``platform``
    signature: Signature = field(default_factory=Signature)
    concurrent: bool = False
    streams: bool = False
    brief_rows: int = 0
    opened: float = 0.0  # when its files were read, and it was not warm yet: of ``time.monotonic()``

    @property
    def batchable(self) -> bool:
        """Whether rows of several requests may go to the model together."""
        return self.signature.batched and not self.concurrent and not self.streams


class Stream(Protocol):
    """Outputs of one call, one after another (an asynchronous generator is one)."""

    def __aiter__(self) -> Stream: ...

    async def __anext__(self) -> Mapping[str, Array]:
        """The next. Raises StopAsyncIteration, BadInput, Refused: FAILED, UNAVAILABLE."""

    async def aclose(self) -> None:
        """Nobody wants the rest. Also what was never begun is closed, to give its place back; closing twice is fine."""


class Executor(Protocol):
    """Runs calls of one version of one model. All methods are called on the event loop, and none blocks it."""

    async def start(self) -> Description:
        """Load and warm up. Raises ModelRefused."""

    @property
    def idle(self) -> int:
        """How many calls it can begin now. It changes at ``run`` and ``stream``, before ``done`` is called, and when a
        stream ends or a worker process dies or comes back; in these last cases the function given to ``on_idle`` is
        called."""

    def on_idle(self, wake: Callable[[], None]) -> None:
        """Whom to call, on the event loop, when something became idle otherwise than by ``done``."""

    def at_once(self, call: Call) -> Answer:
        """Make a call on the event loop, where that is what costs least: of at most ``brief_rows`` rows, or several
        such calls joined. Raises as ``run`` tells."""

    def run(self, call: Call, done: Done) -> Callable[[], None] | None:
        """Begin a call (``idle`` must be above 0); ``done`` is called once, later, on the event loop, with the answer
        or with BadInput (the input's fault) or Refused: FAILED (the model's), UNAVAILABLE (the worker died).

        Where running work can be given up, what is returned does that; ``done`` is called all the same, at its end.
        """

    def stream(self, call: Call) -> Stream:
        """Begin a call of a model that streams (``idle`` must be above 0): it takes its place now, until the stream
        ends or is closed. The model's generator is asked for the next output when the one before was taken."""

    async def stop(self) -> None:
        """End what it started; calls under way may be lost: the scheduler waits for them first."""
