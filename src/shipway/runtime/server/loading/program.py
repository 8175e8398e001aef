"""A program of ``torch.export`` (.pt2) as a :class:`Model`: graph, weights and shapes in one file, no code needed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.loading.model import Model
from shipway.runtime.server.loading.tensors import datatype, named, to_numpy, to_torch
from shipway.runtime.signature import Signature, Tensor


def program_model(program: Any, file: str) -> Model:
    """Inputs by the names of ``forward``'s parameters, outputs as :func:`named` says. A dimension that was exported as
    dynamic is -1; one that was not, a batch of 1 too, is a number, and requests must have it.

    Raises ModelRefused for what is no tensor.
    """
    torch = import_module("torch")
    pytree = import_module("torch.utils._pytree")
    # Arrays of requests are read-only and torch has no such tensors: it warns. Programs that write get copies.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    described = program.graph_signature
    nodes = {node.name: node.meta.get("val") for node in program.graph.nodes}
    inputs = tuple(_tensor(name, nodes.get(name), file) for name in described.user_inputs)
    results = pytree.tree_unflatten([nodes.get(name) for name in described.user_outputs], program.call_spec.out_spec)
    outputs = tuple(_tensor(name, value, file) for name, value in named(results).items())
    writes = any(_writes(node) for node in program.graph.nodes)
    dtypes = [nodes[name].dtype for name in described.user_inputs]
    most = _most_rows(program, [nodes[name] for name in described.user_inputs])
    forward, in_spec = program.module().forward, program.call_spec.in_spec  # calling the module costs 30 us more

    def once(arrays: Mapping[str, Array]) -> dict[str, Array]:
        try:
            tensors = [to_torch(torch, arrays[one.name], writes=writes) for one in inputs]
        except KeyError as error:
            raise BadInput(f"input {error} is missing; the model takes {', '.join(map(str, inputs))}") from None
        args, kwargs = pytree.tree_unflatten([one.to(dtype) for one, dtype in zip(tensors, dtypes)], in_spec)  # noqa: B905
        with torch.inference_mode():
            try:
                result = forward(*args, **kwargs)
            except AssertionError as error:  # a guard of the export: how large a dimension may be
                raise BadInput(f"the program does not take this input: {error}") from error
        found = {name: to_numpy(torch, value) for name, value in named(result).items()}
        # What it writes into and gives back is a buffer of its own, which the next call changes.
        return {name: value.copy() for name, value in found.items()} if writes else found

    def function(call: Call) -> dict[str, Array]:
        if call.rows <= most:
            return once(call.inputs)
        slices = [slice(start, start + most) for start in range(0, call.rows, most)]
        parts = [once({name: array[one] for name, array in call.inputs.items()}) for one in slices]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return Model(format="torch-export", function=function, signature=Signature(inputs, outputs))


def _writes(node: Any) -> bool:
    """Whether an operation changes a tensor that it is given. Which one that is, an input or a buffer, an exported
    program does not say before it is decomposed."""
    return bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))


def _tensor(name: Any, value: Any, file: str) -> Tensor:
    known = datatype(getattr(value, "dtype", None))
    if known is None:
        raise ModelRefused(f"{file}: {name!r} is {value!r}; only tensors can be served: export it with tensors alone")
    return Tensor(str(name), known, tuple(size if isinstance(size, int) else -1 for size in value.shape))


def _most_rows(program: Any, values: list[Any]) -> int:
    """The largest first dimension that the program was exported for (``Dim("batch", max=32)``)."""
    rows = [one.shape[0] for one in values if one.shape and not isinstance(one.shape[0], int)]
    bounds = [program.range_constraints.get(one.node.expr) for one in rows]
    return min((int(one.upper) for one in bounds if one is not None and one.upper.is_Integer), default=sys.maxsize)
