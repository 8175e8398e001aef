"""Make the models, the rows that are sent and the answers that are right: ``python models.py FOLDER`` in "ours".

The answers are the models' own, row by row, without a server. Folder ``NAME`` holds the model, ``NAME.rows.npy``
the rows and ``NAME.answers.npy`` the first output of each.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

DIGITS = 256
IMAGES = 16


def main(folder: Path) -> None:
    """Write everything. Takes about 5 s, most of it imports."""
    joblib, skl2onnx = import_module("joblib"), import_module("skl2onnx")
    tensor_type = import_module("skl2onnx.common.data_types").FloatTensorType
    x, y = import_module("sklearn.datasets").load_digits(return_X_y=True)
    model = import_module("sklearn.linear_model").LogisticRegression(max_iter=5000).fit(x, y)
    rows = x[:DIGITS]

    home = _home(folder, "digits-sklearn")
    joblib.dump(model, home / "model.joblib")
    _keep(home, rows, np.array([model.predict(row[None])[0] for row in rows]))

    home = _home(folder, "digits-onnx")
    graph = skl2onnx.convert_sklearn(
        model, initial_types=[("input", tensor_type([None, 64]))], options={id(model): {"zipmap": False}}
    )
    _save(home, graph, rows.astype(np.float32))

    random = np.random.default_rng(4)
    _save(_home(folder, "mlp"), _mlp(random), random.random((DIGITS, 784), np.float32))
    brightness = np.arange(1, IMAGES + 1, dtype=np.float32)[:, None, None, None]  # so that no two have one mean
    _save(_home(folder, "mean"), _mean(), brightness * random.random((IMAGES, 3, 224, 224), np.float32))


def _home(folder: Path, name: str) -> Path:
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    return home


def _mlp(random: np.random.Generator) -> Any:
    onnx = import_module("onnx")
    sizes = (784, 500, 10)
    weights, nodes = [], []
    last = "input"
    for layer, (rows, columns) in enumerate(pairwise(sizes)):
        weights += [
            onnx.numpy_helper.from_array(random.normal(0, 0.05, (rows, columns)).astype(np.float32), f"w{layer}"),
            onnx.numpy_helper.from_array(np.zeros(columns, np.float32), f"b{layer}"),
        ]
        out = "output" if layer == 1 else f"h{layer}"
        nodes.append(onnx.helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [out]))
        if layer == 0:
            nodes.append(onnx.helper.make_node("Relu", [out], ["relu"]))
        last = "relu"
    return _graph(nodes, (None, 784), (None, 10), weights)


def _mean() -> Any:
    helper = import_module("onnx").helper
    node = helper.make_node("ReduceMean", ["input", "axes"], ["output"], keepdims=0)
    axes = import_module("onnx").numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes")
    return _graph([node], (None, 3, 224, 224), (None,), [axes])


def _graph(nodes: list[Any], taken: tuple[Any, ...], given: tuple[Any, ...], weights: list[Any]) -> Any:
    onnx = import_module("onnx")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "bench",
        [value("input", onnx.TensorProto.FLOAT, taken)],
        [value("output", onnx.TensorProto.FLOAT, given)],
        weights,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)


def _save(home: Path, graph: Any, rows: Any) -> None:
    path = home / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    session = import_module("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_outputs()[0].name
    _keep(home, rows, np.concatenate([session.run([name], {"input": row[None]})[0] for row in rows]))


def _keep(home: Path, rows: Any, answers: Any) -> None:
    np.save(home.with_suffix(".rows.npy"), rows)
    np.save(home.with_suffix(".answers.npy"), answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
