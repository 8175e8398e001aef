"""``shipway init`` in folders of several shapes, each followed by ``up``: what it writes works."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.home import EXAMPLES, PREDICTOR, TRAIN, Home, Project, post, request, told
from tests.e2e.test_flask import SERVER

SKLEARN = """
import joblib
from sklearn.linear_model import LinearRegression
from shipway import log_metrics, output_dir

model = LinearRegression().fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0])
log_metrics(r2=1.0)
joblib.dump(model, output_dir() / "model.joblib")
"""

FLASK = """
from flask import Flask, request

app = Flask(__name__)

@app.post("/predict")
def predict():
    return {"output": request.json["input"]}
"""


def initialised(home: Home, folder: Path) -> str:
    """``init`` as typed in the folder; what it wrote."""
    done = home.shipway("init", cwd=folder)
    assert done.returncode == 0, told(done)
    assert "shipway up" in done.stderr
    text = (folder / "shipway.yaml").read_text()
    assert done.stdout == text
    return text


def test_training_code_alone(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "Trains_Well", train_py=SKLEARN)
    assert "kind: ModelJob" in initialised(shared_home, project.folder)
    out = shared_home.ok("up", cwd=project.folder)
    assert "trains-well:1" in out, "a valid name is made of the folder's"
    answer = post(f"{shared_home.url('trains-well')}/predict", {"input": [[3.0]]})
    assert answer.json()["output"] == [pytest.approx(6.0)]


def test_training_code_with_a_predictor(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "both", train_py=TRAIN, predictor_py=PREDICTOR)
    assert "predictor.py:Line" in initialised(shared_home, project.folder)
    shared_home.ok("up", cwd=project.folder)
    assert post(f"{shared_home.url('both')}/predict", {"input": [[3]]}).json() == {"output": [6.0]}


def test_a_flask_app(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "flasked", app_py=FLASK, requirements_txt="flask==3.1.3\n")
    initialised(shared_home, project.folder)
    shared_home.ok("up", cwd=project.folder)
    assert post(f"{shared_home.url('flasked')}/predict", {"input": [1]}).json() == {"output": [1]}


def test_an_app_that_listens_on_port_by_itself(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "listens", app_py=SERVER)
    initialised(shared_home, project.folder)
    shared_home.ok("up", cwd=project.folder)
    assert post(f"{shared_home.url('listens')}/", {"input": [1]}).json()["output"] == [1]


def test_a_model_file_alone(shared_home: Home) -> None:
    joblib = pytest.importorskip("joblib")
    linear = pytest.importorskip("sklearn.linear_model")
    folder = shared_home.projects / "file"
    folder.mkdir()
    joblib.dump(linear.LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), folder / "model.joblib")
    assert "allowPickle: true" in initialised(shared_home, folder)
    out = shared_home.ok("up", cwd=folder)
    assert "file:1" in out
    answer = post(f"{shared_home.url('file')}/predict", {"input": [[3.0]]})
    assert answer.json()["output"] == [pytest.approx(6.0)]
    assert request("GET", f"{shared_home.url('file')}/v2/health/ready").status == 200


def test_the_examples_without_their_yaml(shared_home: Home) -> None:
    folder = shared_home.projects / "like-flask-app"
    folder.mkdir()
    for name in ("app.py", "requirements.txt"):
        (folder / name).write_text((EXAMPLES / "flask-app" / name).read_text())
    initialised(shared_home, folder)
    shared_home.ok("up", cwd=folder)
    assert post(f"{shared_home.url('like-flask-app')}/predict", {"input": [1]}).json() == {"output": [3]}


def test_a_file_that_exists_is_not_touched(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "kept", train_py=TRAIN, shipway_yaml="# mine\n")
    done = shared_home.shipway("init", project.folder)
    assert done.returncode == 2 and "exists and is not overwritten" in done.stderr
    assert (project.folder / "shipway.yaml").read_text() == "# mine\n"


def test_a_folder_of_nothing_that_is_known_is_told_what_was_looked_for(shared_home: Home) -> None:
    project = Project.of(shared_home.projects / "notes", notes_md="hello\n")
    done = shared_home.shipway("init", project.folder)
    assert done.returncode == 2
    assert "train.py, app.py or a model file" in done.stderr
    assert not (project.folder / "shipway.yaml").exists()
