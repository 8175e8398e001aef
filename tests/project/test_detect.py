"""init: every file that it writes loads, and says what the folder needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.detect import Found, look, object_name, propose, write
from shipway.errors import Refused, UserError
from shipway.kinds import Model, ModelJob, ModelService, Object
from shipway.kinds.load import load
from shipway.project import read


def made(tmp_path: Path, **files: str) -> list[Object]:
    """The objects that init writes for a folder; ``train_py="..."`` is train.py."""
    for name, text in files.items():
        (tmp_path / name.replace("_", ".")).write_text(text)
    return load(write(tmp_path).read_text())


def command(tmp_path: Path, code: str) -> tuple[str, ...]:
    (service,) = made(tmp_path, app_py=code)
    assert isinstance(service, ModelService)
    return service.spec.command


def test_training_code_becomes_a_job_and_a_service(tmp_path: Path) -> None:
    job, service = made(tmp_path, train_py="", requirements_txt="scikit-learn==1.9.1")
    assert isinstance(job, ModelJob)
    assert isinstance(service, ModelService)
    assert job.spec.command == ("python", "train.py")
    assert job.spec.model == service.spec.model == job.name
    assert service.spec.predictor is None
    assert read(tmp_path).objects[0].key == job.key


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("class Digits(Predictor):\n", "Digits"),
        ("class Other: ...\nclass Digits(shipway.Predictor):\n", "Digits"),
        ("class Digits:\n", "Digits"),
        ("x = 1\n", "Predictor"),
    ],
)
def test_a_predictor_is_named(tmp_path: Path, code: str, name: str) -> None:
    _, service = made(tmp_path, train_py="", predictor_py=code)
    assert isinstance(service, ModelService)
    assert service.spec.predictor == f"predictor.py:{name}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("app = FastAPI()\n", ("uvicorn", "app:app", "--host", "$(HOST)", "--port", "$(PORT)")),
        ("api: FastAPI = fastapi.FastAPI()\n", ("uvicorn", "app:api", "--host", "$(HOST)", "--port", "$(PORT)")),
        ("app = Starlette(routes=[])\n", ("uvicorn", "app:app", "--host", "$(HOST)", "--port", "$(PORT)")),
        (
            "server = Flask(__name__)\n",
            ("python", "-m", "flask", "--app", "app:server", "run", "--host", "$(HOST)", "--port", "$(PORT)"),
        ),
        (
            '"""Listens on $PORT."""\napp = Flask(__name__)\n',
            ("python", "-m", "flask", "--app", "app:app", "run", "--host", "$(HOST)", "--port", "$(PORT)"),
        ),
        ('app = Flask(__name__)\napp.run(port=int(os.environ["PORT"]))\n', ("python", "app.py")),
        ("import http.server\n", ("python", "app.py")),
    ],
)
def test_a_server_gets_its_command(tmp_path: Path, code: str, words: tuple[str, ...]) -> None:
    assert command(tmp_path, code) == words


def test_a_server_of_unknown_make_is_told_where_to_listen(tmp_path: Path) -> None:
    command(tmp_path, "import http.server\n")
    assert "it must listen on $HOST and $PORT" in (tmp_path / "shipway.yaml").read_text()


@pytest.mark.parametrize(
    ("file", "trusted"), [("m_onnx", False), ("m_skops", False), ("m_joblib", True), ("m_pt2", True), ("m_ts", True)]
)
def test_a_model_file_alone_is_imported(tmp_path: Path, file: str, trusted: bool) -> None:
    model, service = made(tmp_path, **{file: "x"})
    assert isinstance(model, Model)
    assert isinstance(service, ModelService)
    assert model.spec.source is not None
    assert model.spec.source.files == (file.replace("_", "."),)
    assert service.spec.allow_pickle is trusted


@pytest.mark.parametrize("name", ["M.ONNX", "Model.Joblib", "m.pickle"])
def test_suffixes_in_capitals_and_long_ones_are_models_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    model, _ = load(write(tmp_path).read_text())
    assert isinstance(model, Model) and model.spec.source is not None
    assert model.spec.source.files == (name,)


def test_of_several_files_the_one_that_would_be_served_is_imported(tmp_path: Path) -> None:
    model, service = made(tmp_path, a_pkl="x", b_onnx="x", c_pt="x")
    assert isinstance(model, Model) and isinstance(service, ModelService) and model.spec.source is not None
    assert model.spec.source.files == ("b.onnx",)
    assert not service.spec.allow_pickle


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("m.pt", "pytorch"),
        ("m.pth", "pytorch"),
        ("M.KERAS", "keras"),
        ("m.h5", "keras"),
        ("m.safetensors", "safetensors"),
        ("m.gguf", "gguf"),
    ],
)
def test_a_file_that_takes_a_predictor_is_imported_beside_one(tmp_path: Path, name: str, format: str) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=f"{name} is a {format} model, and opening one takes a predictor"):
        write(tmp_path)
    model, service = made(tmp_path, predictor_py="class Mine(Predictor):\n")
    assert isinstance(model, Model) and isinstance(service, ModelService) and model.spec.source is not None
    assert model.spec.source.files == (name,)
    assert service.spec.predictor == "predictor.py:Mine" and not service.spec.allow_pickle


@pytest.mark.parametrize(("name", "hinted"), [("m.pt", True), ("m.pth", True), ("m.keras", False)])
def test_a_pt_may_be_torchscript_and_is_told_how_to_be_served_without_a_predictor(
    tmp_path: Path, name: str, hinted: bool
) -> None:
    (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match="takes a predictor") as error:
        write(tmp_path)
    assert ("unless it is TorchScript: then call it *.ts" in str(error.value)) is hinted


def test_parts_of_a_model_are_imported_together(tmp_path: Path) -> None:
    for name in ("model-2.safetensors", "model-1.safetensors", "other.pt"):
        (tmp_path / name).write_text("x")
    model, _ = made(tmp_path, predictor_py="class Mine(Predictor):\n")
    assert isinstance(model, Model) and model.spec.source is not None
    assert model.spec.source.files == ("model-1.safetensors", "model-2.safetensors")


def test_a_bin_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"GGUF\3\0\0\0")
    with pytest.raises(UserError, match="is a gguf model"):
        write(tmp_path)


@pytest.mark.parametrize("code", ["import torch\n", "from keras import layers\n", "    import tensorflow as tf\n"])
def test_training_code_whose_models_take_a_predictor_says_so(tmp_path: Path, code: str) -> None:
    _, service = made(tmp_path, train_py=code)
    assert isinstance(service, ModelService) and service.spec.predictor is None
    text = (tmp_path / "shipway.yaml").read_text()
    assert "# predictor: predictor.py:Mine" in text


def test_an_empty_folder_is_told_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "explore.ipynb").write_text("{}")
    with pytest.raises(UserError, match=r"nothing here .*looked for train.py, app.py or a model file"):
        write(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        write(tmp_path / "gone")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shipway.yaml").write_text("mine")
    with pytest.raises(Refused, match="exists and is not overwritten"):
        write(tmp_path)
    assert (tmp_path / "shipway.yaml").read_text() == "mine"


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "generated.py").write_bytes(b"#" * (2 << 20))
    (tmp_path / "train.py").write_text("")
    assert list(look(tmp_path).code) == ["train.py"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("digits", "digits"),
        ("My_Digits 2", "my-digits-2"),
        ("2024-model", "app-2024-model"),
        ("___", "app"),
        ("Ü", "app"),
        ("a" * 43 + "-b", "a" * 43),
    ],
)
def test_names_are_made_valid(text: str, name: str) -> None:
    assert object_name(text) == name
    load(propose(Found(object_name(text), {"train.py": ""})))
