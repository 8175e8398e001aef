"""One request of the prediction log, and which requests are in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from shipway.runtime.server.calls import Array, Parameters


class Prediction(Struct, frozen=True, eq=False):
    """What was asked and answered. ``time`` in seconds since 1970; ``status`` as HTTP's code, also where gRPC was
    spoken; ``outputs`` are empty when there was no answer."""

    time: float
    id: str
    model: str
    version: str
    status: int
    milliseconds: float
    parameters: Parameters
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    @property
    def size(self) -> int:
        """Bytes in memory, roughly."""
        return 512 + sum(_size(array) for tensors in (self.inputs, self.outputs) for array in tensors.values())

    @property
    def rows(self) -> int | None:
        """How many rows every tensor counts; None when they do not agree, so that rows cannot be told apart."""
        counts = {array.shape[:1] for tensors in (self.inputs, self.outputs) for array in tensors.values()}
        only = counts.pop() if len(counts) == 1 else ()
        return only[0] if only else None


def position(id_: str) -> float:
    """Where an id lies between 0 and 1: the first 8 bytes of the SHA-256 of its UTF-8 as a big-endian number, over
    2**64. A request is kept when that is below ``sample``, so whoever samples more keeps what others keep, too."""
    digest = hashlib.sha256(id_.encode("utf-8", "surrogatepass")).digest()
    return float(int.from_bytes(digest[:8], "big")) / 2.0**64


def copied(tensors: Mapping[str, Array], redacted: frozenset[str]) -> dict[str, Array]:
    """All but the redacted. Copies: what they are views of (a body, a batch, shared memory) is given back."""
    return {name: np.array(array) for name, array in tensors.items() if name not in redacted}


def _size(array: Array) -> int:
    if array.dtype == object:
        return sum(len(one) + 64 for one in array.flat)
    return int(array.nbytes)
