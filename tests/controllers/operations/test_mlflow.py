"""What is read of an MLflow folder: texts as mlflow 2 and 3 write them."""

from __future__ import annotations

import json

import pytest

from shipway.controllers.operations import mlflow
from shipway.errors import UserError
from shipway.kinds import ModelSignature, ModelTensor
from shipway.models import signatures

SKLEARN = """\
artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.9
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.5.0
mlflow_version: 2.14.1
model_uuid: 6e5a8f0e7d3d4a0c8d1a8b5b4f2d9f10
signature:
  inputs: '%s'
  outputs: '%s'
  params: null
"""
COLUMNS = '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type": "long", "name": "w"}]'
TENSOR = '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 64]}}]'
NAMED = '[{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "uint8", "shape": [-1, 28, 28]}}]'
LABELS = '[{"type": "long"}]'


def model(flavor: str, inputs: str, outputs: str = LABELS) -> bytes:
    return (SKLEARN % (inputs, outputs)).replace("  sklearn:", f"  {flavor}:").encode()


def table(width: int) -> ModelSignature:
    return ModelSignature(inputs=(ModelTensor(name="input", datatype="FP64", shape=(-1, width)),))


@pytest.mark.parametrize(
    ("flavor", "inputs", "outputs", "signature"),
    [
        ("sklearn", COLUMNS, LABELS, table(2)),
        ("sklearn", TENSOR, LABELS, table(64)),
        ("xgboost", TENSOR, LABELS, table(64)),
        ("sklearn", '[{"type": "string", "name": "text"}]', LABELS, None),
        ("sklearn", '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [5, 2]}}]', LABELS, None),
        ("sklearn", "[]", LABELS, None),
        (
            "keras",
            TENSOR,
            TENSOR,
            ModelSignature(
                inputs=(ModelTensor(name="input", datatype="FP32", shape=(-1, 64)),),
                outputs=(ModelTensor(name="output", datatype="FP32", shape=(-1, 64)),),
            ),
        ),
        ("onnx", TENSOR, TENSOR, None),
        (
            "onnx",
            NAMED,
            NAMED,
            ModelSignature(
                inputs=(ModelTensor(name="x", datatype="UINT8", shape=(-1, 28, 28)),),
                outputs=(ModelTensor(name="x", datatype="UINT8", shape=(-1, 28, 28)),),
            ),
        ),
        ("keras", COLUMNS, LABELS, None),
        ("keras", TENSOR.replace("float32", "complex64"), TENSOR, None),
        ("keras", "not JSON", TENSOR, None),
        ("keras", '"a text"', TENSOR, None),
    ],
)
def test_a_signature_is_ours_where_it_says_what_our_server_asks(
    flavor: str, inputs: str, outputs: str, signature: ModelSignature | None
) -> None:
    assert mlflow.read(model(flavor, inputs, outputs)).signature == signature


def test_requirements_without_what_belongs_to_another_machine() -> None:
    text = b"--index-url https://e.org\n-r more.txt\n# by mlflow\nmlflow==2.14.1  # itself\n\nscikit-learn==1.5.0\n"
    found = mlflow.read(model("sklearn", COLUMNS), text)
    assert found.requirements == ("mlflow==2.14.1", "scikit-learn==1.5.0")
    assert found.flavors == ("python_function", "sklearn")


@pytest.mark.parametrize(
    "document", [b"", b"- 1", b"flavors: 3", b"\xff\xfe\xff", b"a: [", b"!!python/object/apply:os.system [ls]", b"a: 1"]
)
def test_what_is_no_mlmodel_is_said_to_be_none(document: bytes) -> None:
    with pytest.raises(UserError, match="the file MLmodel is not one of MLflow"):
        mlflow.read(document)


def test_a_model_without_signature_has_none() -> None:
    assert mlflow.read(b"flavors: {sklearn: {}}").signature is None


def test_what_is_laid_beside_the_files_is_read_back() -> None:
    written = mlflow.recorded(table(3))
    assert signatures.parse(written) == table(3)
    assert json.loads(written)["by"] == "sample"
