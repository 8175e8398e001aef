"""What a request to a model may say, worked out once from its signature. Pure; every codec checks by it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from functools import lru_cache

import numpy as np

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Array
from shipway.runtime.server.codec.tensors import DTYPES
from shipway.runtime.signature import Signature

Check = Callable[[str, str, tuple[int, ...]], None]
Wanted = Callable[[tuple[str, ...]], tuple[str, ...]]

_REFUSED = ("classification", "shared_memory_region")  # extensions of Triton's
_LONGEST = 1000  # characters of an error


class Door:
    """The checks of one signature; made when a version is loaded, never changed. They raise BadInput.

    A request is checked in this order: :meth:`check_names`, then for each input ``check(name, datatype, shape)`` before
    its data is read (whether it may have that datatype, which can be widened, and that shape) and :meth:`widen` after,
    then :meth:`check_rows`; :meth:`wanted` for the outputs.
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._names = [one.name for one in signature.inputs]
        self.inputs = {one.name: one for one in signature.inputs}
        self.outputs = {one.name: one for one in signature.outputs}
        self.datatype = _common([one.datatype for one in signature.inputs])
        self.bf16_outputs = frozenset(one.name for one in signature.outputs if one.datatype == "BF16")
        # Clients send the same few shapes again and again. Only what passed is kept, and only where the names are ours:
        # a stranger's would fill the memory.
        self.check: Check = lru_cache(maxsize=256)(self._check) if signature.inputs else self._check
        self.wanted: Wanted = lru_cache(maxsize=256)(self._wanted) if signature.outputs else self._wanted

    def check_names(self, given: Sequence[str]) -> None:
        """Every input once, and no other; any where none are declared."""
        if given and given == self._names:
            return
        if not given:
            raise BadInput("no input is given")
        found = set(given)
        expected = self.inputs or found
        for problem, culprits in (
            ("unknown input", [name for name in given if name not in expected]),
            ("missing input", [name for name in expected if name not in found]),
            ("repeated input", _repeated(given)),
        ):
            if culprits:
                raise BadInput(f"{problem} {', '.join(map(repr, culprits))}")

    def _check(self, name: str, datatype: str, shape: tuple[int, ...]) -> None:
        if datatype not in DTYPES:
            raise BadInput(f"input {name!r}: unknown datatype {datatype!r}; one of {', '.join(DTYPES)}")
        expected = self.inputs.get(name)
        if expected is None:
            return
        if not expected.takes(shape):
            raise BadInput(f"input {name!r}: shape {list(shape)} given where {list(expected.shape)} is expected")
        if not widens(datatype, expected.datatype):
            raise BadInput(f"input {name!r}: datatype {datatype} given where {expected.datatype} is expected")

    def widen(self, name: str, datatype: str, array: Array) -> Array:
        """The array in the datatype that the model declares."""
        if datatype == self.datatype:
            return array
        expected = self.inputs.get(name)
        if expected is None or expected.datatype == datatype:
            return array
        return array.astype(DTYPES[expected.datatype], copy=False)

    def check_rows(self, arrays: Mapping[str, Array]) -> None:
        """All inputs hold the same number of rows."""
        if len(arrays) < 2 or not self.signature.batched:
            return
        rows = {name: array.shape[:1] for name, array in arrays.items()}
        if len(set(rows.values())) > 1:
            text = ", ".join(f"{name} {list(count)}" for name, count in rows.items())
            raise BadInput(f"inputs with different numbers of rows: {text}")

    def _wanted(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The outputs asked for, each known and named once; where none are known, the model is asked."""
        unknown = [name for name in names if self.outputs and name not in self.outputs]
        if unknown:
            raise BadInput(f"unknown output {', '.join(map(repr, unknown))}")
        if repeated := _repeated(names):
            raise BadInput(f"repeated output {', '.join(map(repr, repeated))}")
        return names

    def refusal(self, error: Exception, form: str = "") -> BadInput:
        """What was wrong, and what the model expects, in which ``form``."""
        problem = str(error) or type(error).__name__
        if len(problem) > _LONGEST:  # it may quote what a stranger sent
            problem = problem[:_LONGEST] + "..."
        return BadInput(f"{problem}; expected {form}{self.signature}")


def refuse_extensions(name: str, parameters: Container[str]) -> None:
    """Parameters of an input or an output that ask for what we do not have. Raises BadInput."""
    for extension in _REFUSED:
        if extension in parameters:
            raise BadInput(f"{name!r}: {extension} is not supported")


@lru_cache(maxsize=256)
def widens(datatype: str, wanted: str) -> bool:
    """Whether no value can change on the way: INT32 to FP64, never FP64 to FP32; BOOL and BYTES stay what they are."""
    if datatype == wanted:
        return True
    if {"BOOL", "BYTES", "BF16"} & {datatype, wanted}:
        return datatype == "BF16" and wanted in ("FP32", "FP64")
    return bool(np.can_cast(DTYPES[datatype], DTYPES[wanted], "safe"))


def _common(datatypes: list[str]) -> str | None:
    """The one datatype of all inputs, if there is one that JSON can say."""
    found = set(datatypes) - {"FP16", "BF16"}
    return datatypes[0] if len(found) == 1 and len(set(datatypes)) == 1 else None


def _repeated(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
