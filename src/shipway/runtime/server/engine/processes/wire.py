"""What the server and a worker say to each other: a length of 4 bytes, then MessagePack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from shipway.runtime.server.calls import Parameters
from shipway.runtime.server.engine.executor import Description
from shipway.runtime.server.engine.processes.arena import Block
from shipway.runtime.server.settings import Settings

_LENGTH = 4
_ROOM = 2**16


class Frame(Struct, frozen=True, array_like=True, tag=True):
    """One message."""


class Load(Frame, frozen=True):
    """To the worker, first of all: what to load."""

    settings: Settings


class Run(Frame, frozen=True):
    """To the worker: a call. ``number`` stands for it in all that follows. Of a stream, the first item is asked for."""

    number: int
    inputs: Block
    wanted: tuple[str, ...]
    parameters: Parameters
    id: str | None
    expires: float  # time.monotonic() is one clock for all processes
    streams: bool


class Next(Frame, frozen=True):
    """To the worker: the item before is taken."""

    number: int


class Cancel(Frame, frozen=True):
    """To the worker: nobody waits for it. It ends with :class:`End` or :class:`Failed` all the same."""

    number: int


class Trim(Frame, frozen=True):
    """To the worker: give memory back that large outputs have taken."""


class Stop(Frame, frozen=True):
    """To the worker: finish what is begun, then end."""


class Loaded(Frame, frozen=True):
    """From the worker: it takes calls."""

    description: Description


class Unfit(Frame, frozen=True):
    """From the worker: the model is refused."""

    reason: str


class Done(Frame, frozen=True):
    """From the worker: the answer."""

    number: int
    outputs: Block
    rows: int
    seconds: float
    parameters: Parameters
    began: float


class Item(Frame, frozen=True):
    """From the worker: one item of a stream."""

    number: int
    outputs: Block


class End(Frame, frozen=True):
    """From the worker: the stream has no more items."""

    number: int


class Failed(Frame, frozen=True):
    """From the worker: there is no answer. ``reason`` is the name of a :class:`Reason`; none is the input's fault."""

    number: int
    reason: str | None
    message: str
    retry_after: float | None


ToWorker = Load | Run | Next | Cancel | Trim | Stop
FromWorker = Loaded | Unfit | Done | Item | End | Failed


def decoder(frames: Any) -> Callable[[memoryview], tuple[list[int], Any]]:
    """Reads messages of these types, each with the blocks that its sender has released."""
    return msgspec.msgpack.Decoder(tuple[list[int], frames], dec_hook=lambda type_, value: type_(value)).decode


def encode(released: list[int], frame: ToWorker | FromWorker) -> bytearray:
    """A message as it goes over the socket."""
    message = bytearray(_LENGTH)
    _ENCODER.encode_into((released, frame), message, _LENGTH)
    message[:_LENGTH] = (len(message) - _LENGTH).to_bytes(_LENGTH, "little")
    return message


_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)  # a Path as its text


class Inbox:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray(_ROOM)
        self._end = 0

    def room(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return memoryview(self._buffer)[self._end :]

    def received(self, count: int) -> Iterator[memoryview]:
        """The messages that are whole now that ``count`` bytes have come. A view is good until the next is taken."""
        self._end += count
        start, needed = 0, 0
        view = memoryview(self._buffer)
        while self._end - start >= _LENGTH:
            after = start + _LENGTH + int.from_bytes(view[start : start + _LENGTH], "little")
            if after > self._end:
                needed = after - start
                break
            yield view[start + _LENGTH : after]
            start = after
        rest = view[start : self._end]
        if needed > len(self._buffer):
            self._buffer = bytearray(max(needed, _ROOM))
            memoryview(self._buffer)[: len(rest)] = rest
        elif start and rest:
            view[: len(rest)] = bytes(rest)
        self._end = len(rest)
