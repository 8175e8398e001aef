"""A loaded model as the server sees it, and one call of it with everything checked."""

from __future__ import annotations

import contextlib
import inspect
import sys
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shipway.runtime.errors import BadInput
from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.codec.tensors import datatype_of, presentable, zeros
from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.signature import Signature, Tensor

# One array, or arrays by name; an awaitable of that; or a generator (plain or asynchronous) of that.
Function = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Model:
    """What every format is turned into."""

    format: str  # as the protocol's ``platform``
    function: Function
    signature: Signature = field(default_factory=Signature)
    sample: Callable[[], Any] = lambda: None  # for the warm-up: inputs by name, one array, or None
    is_async: bool = False
    streams: bool = False
    any_thread: bool = False  # may call it, the event loop's too: nothing in it is the user's code
    opened: float = field(default_factory=time.monotonic)

    def warmup_inputs(self) -> Mapping[str, Array] | None:
        """What the warm-up call is made with; None when nothing can be made up."""
        sample = self.sample()
        if sample is None:
            return zeros(self.signature.inputs)
        if isinstance(sample, Mapping):
            return {name: presentable(value) for name, value in sample.items()}
        name = self.signature.inputs[0].name if self.signature.inputs else "input"
        return {name: presentable(sample)}

    def learned(self, outputs: Mapping[str, Array]) -> Model:
        """The model, its outputs declared as they were seen in the warm-up call."""
        if self.signature.outputs:
            return self
        leading = (-1,) if self.signature.batched else ()
        tensors = tuple(
            Tensor(name, datatype_of(array), leading + array.shape[len(leading) :]) for name, array in outputs.items()
        )
        return replace(self, signature=replace(self.signature, outputs=tensors))


def call(model: Model, request: Call) -> Answer:
    """Call a model whose function is plain. Raises BadInput, Refused."""
    began = time.monotonic()
    try:
        result = model.function(request)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error) from error
    return _answer(model, request, result, began)


async def call_async(model: Model, request: Call) -> Answer:
    """Call a model whose function gives an awaitable. Raises BadInput, Refused."""
    began = time.monotonic()
    try:
        result: Awaitable[Any] = model.function(request)
        value = await result
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error) from error
    return _answer(model, request, value, began)


def items(model: Model, request: Call) -> Generator[Mapping[str, Array], None, None]:
    """The outputs of a model whose function gives a generator. Raises BadInput, Refused."""
    try:
        with contextlib.closing(model.function(request)) as generator:
            for value in generator:
                yield _named(model.signature, value)
    except (BadInput, Refused):
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error) from error


async def items_async(model: Model, request: Call) -> AsyncGenerator[Mapping[str, Array], None]:
    """The outputs of a model whose function gives an asynchronous generator. Raises BadInput, Refused."""
    try:
        async with contextlib.aclosing(model.function(request)) as generator:
            async for value in generator:
                yield _named(model.signature, value)
    except (BadInput, Refused):
        raise
    except (Exception, SystemExit) as error:
        raise _failed(error) from error


def _failed(error: BaseException) -> Refused:
    traceback.print_exception(error, file=sys.stderr)
    return Refused(Reason.FAILED, f"predict failed: {type(error).__name__}: {error}")


def _answer(model: Model, request: Call, result: Any, began: float) -> Answer:
    seconds = time.monotonic() - began
    rows = request.rows
    outputs = _named(model.signature, result)
    if model.signature.batched:
        for name, array in outputs.items():
            if array.shape[:1] != (rows,):
                raise Refused(
                    Reason.FAILED,
                    f"output {name!r} has shape {list(array.shape)}: its first dimension must be "
                    f"the {rows} rows of the request",
                )
    missing = [name for name in request.wanted if name not in outputs]
    if missing:
        raise BadInput(f"unknown output {', '.join(map(repr, missing))}; the model gave {', '.join(outputs)}")
    chosen = {name: outputs[name] for name in request.wanted} if request.wanted else outputs
    return Answer(chosen, rows, seconds, began=began)


def _named(signature: Signature, result: Any) -> dict[str, Array]:
    if inspect.isawaitable(result):
        raise Refused(Reason.FAILED, "predict returned an awaitable: write it as `async def predict`")
    if not isinstance(result, Mapping):
        declared = signature.outputs
        result = {declared[0].name if len(declared) == 1 else "output": result}
    outputs: dict[str, Array] = {}
    for name, value in result.items():
        try:
            outputs[str(name)] = presentable(value)
        except TypeError as error:
            raise Refused(Reason.FAILED, f"output {name!r}: {error}") from error
    return outputs
