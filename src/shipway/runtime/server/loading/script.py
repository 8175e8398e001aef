"""A TorchScript program (.ts, .pt, .pth) as a :class:`Model`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.tensors import named, to_numpy, to_torch
from shipway.runtime.signature import Signature


def script_model(script: Any, file: str, recorded: Signature) -> Model:
    """The file says how many tensors ``forward`` takes, and neither their types nor their shapes: these are of the
    signature that was recorded with the version. Where none was, any are taken, doubles as the network's own
    precision, and what torch does not like about them is the caller's fault.

    Raises ModelRefused for a ``forward`` that needs anything but tensors.
    """
    torch = import_module("torch")
    needed = [one for one in script.forward.schema.arguments[1:] if not one.has_default_value()]
    other = [f"{one.name}: {one.type}" for one in needed if str(one.type) != "Tensor"]
    if other:
        raise ModelRefused(f"{file}: forward takes {', '.join(other)}; only tensors can be served")
    names = [one.name for one in needed]
    known = recorded.inputs if len(recorded.inputs) == len(names) else ()
    weights = next((one.dtype for one in script.parameters() if one.is_floating_point()), torch.float32)

    def tensor(array: Array) -> Any:
        given = to_torch(torch, array, writes=not array.flags.writeable)  # whether it writes, nobody knows
        return given.to(weights) if not known and given.dtype == torch.float64 else given

    def function(call: Call) -> dict[str, Array]:
        tensors = [tensor(one) for one in _in_order(call.inputs, names, [one.name for one in known])]
        try:
            with torch.inference_mode():
                result = script.forward(*tensors)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if known:
                raise
            raise BadInput(f"TorchScript: {str(error).strip().splitlines()[-1]}") from error
        return {name: to_numpy(torch, value) for name, value in named(result).items()}

    return Model(format="torchscript", function=function, signature=Signature(known))


def _in_order(arrays: Mapping[str, Array], names: list[str], known: list[str]) -> list[Array]:
    """The arrays as ``forward`` takes them: by its names, by those that were recorded in its order, or the only one."""
    for order in (names, known):
        if order and set(order) == set(arrays):
            return [arrays[name] for name in order]
    if len(arrays) == len(names) == 1:
        return [*arrays.values()]
    raise BadInput(f"the inputs are {', '.join(names)}; got {', '.join(arrays)}")
