"""Surgery on ONNX graphs: give an exported model the inputs and outputs of the model that it stands for.

Source: onnx.proto (a graph is nodes that name their inputs and outputs); operators Cast, Reshape, Identity of ai.onnx.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from shipway.runtime.signature import Tensor

_ELEMENTS = {"FP32": "FLOAT", "FP64": "DOUBLE", "FP16": "FLOAT16", "BYTES": "STRING"}


def read_as(model: Any, name: str, datatype: str) -> None:
    """Let the input ``name`` be of another datatype, and cast it to what the graph was made for."""
    helper = import_module("onnx.helper")
    given = next(one for one in model.graph.input if one.name == name)
    wanted = given.type.tensor_type.elem_type
    inner = f"{name}__inner"
    for node in model.graph.node:
        _rename(node.input, name, inner)
    given.type.tensor_type.elem_type = _element(datatype)
    model.graph.node.insert(0, helper.make_node("Cast", [name], [inner], to=wanted))


def answer_as(model: Any, outputs: Sequence[Tensor]) -> None:
    """Let the graph's first outputs be these: their names, datatypes and ranks; further outputs are left out.

    Raises ValueError when the graph has fewer outputs.
    """
    helper = import_module("onnx.helper")
    graph = model.graph
    if len(graph.output) < len(outputs):
        raise ValueError(f"the exported graph has {len(graph.output)} outputs, and the model gives {len(outputs)}")
    declared = []
    for given, wanted in zip(graph.output, outputs, strict=False):
        inner = f"{given.name}__inner"
        for node in graph.node:
            _rename(node.output, given.name, inner)
            _rename(node.input, given.name, inner)
        cast, element = f"{wanted.name}__cast", _element(wanted.datatype)
        if wanted.datatype == "BYTES":  # there is no cast between text and text
            graph.node.append(helper.make_node("Identity", [inner], [cast]))
        else:
            graph.node.append(helper.make_node("Cast", [inner], [cast], to=element))
        graph.node.append(_shaped(helper, graph, cast, wanted))
        shape = [None if size == -1 else size for size in wanted.shape]
        declared.append(helper.make_tensor_value_info(wanted.name, element, shape))
    del graph.output[:]
    graph.output.extend(declared)


def _shaped(helper: Any, graph: Any, name: str, wanted: Tensor) -> Any:
    """A column of one number a row is a vector in scikit-learn."""
    if len(wanted.shape) != 1:
        return helper.make_node("Identity", [name], [wanted.name])
    shape = f"{wanted.name}__shape"
    graph.initializer.append(helper.make_tensor(shape, import_module("onnx").TensorProto.INT64, [1], [-1]))
    return helper.make_node("Reshape", [name, shape], [wanted.name])


def _rename(names: Any, old: str, new: str) -> None:
    for position, name in enumerate(names):
        if name == old:
            names[position] = new


def _element(datatype: str) -> int:
    return int(import_module("onnx").TensorProto.DataType.Value(_ELEMENTS.get(datatype, datatype)))
