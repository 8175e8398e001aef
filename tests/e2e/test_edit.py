"""A user edits, breaks and mends a project; requests go on all the while."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import TRAIN, YAML, Home, Load, Project, post, request, told

THREE = {"input": [[3]]}


def doubled(answer: Any) -> bool:
    """What version 1 of the tiny project says of 3."""
    return bool(answer == {"output": [6.0]})


def doubled_or_tripled(answer: Any) -> bool:
    return answer in ({"output": [6.0]}, {"output": [9.0]})


def up(home: Home, name: str, **files: str) -> tuple[Project, str]:
    """The tiny project, up; and where it takes rows."""
    project = Project.line(home.projects, name, **files)
    home.ok("up", project.folder)
    return project, f"{home.url(name)}/predict"


def revision(home: Home, name: str) -> str:
    return str(home.json("get", "service", name)["status"]["readyRevision"])


def runs(home: Home, name: str) -> int:
    return int(home.json("get", "job", name)["status"]["runs"])


def failed_up(home: Home, project: Project, *options: str) -> subprocess.CompletedProcess[str]:
    """An ``up`` that must end with 1, the code of a workload that failed."""
    done = home.shipway("up", project.folder, *options)
    assert done.returncode == 1, told(done)
    return done


# -- edits


def test_new_training_code_is_a_new_version_and_not_one_request_fails(shared_home: Home) -> None:
    project, url = up(shared_home, "trained")
    with Load(url, THREE, doubled_or_tripled) as load:
        load.more()
        project.edit("train.py", "params(slope=2)", "dict(slope=3)")
        out = shared_home.ok("up", project.folder)
        load.more()
    assert load.bad == []
    assert set(load.good) == {'{"output":[6.0]}', '{"output":[9.0]}'}, "both versions served"
    assert "trained:2" in out and "train trained: done" in out
    assert revision(shared_home, "trained") == "trained-00002"
    assert post(url, THREE).json() == {"output": [9.0]}


def test_a_new_predictor_is_a_new_revision_and_no_training(shared_home: Home) -> None:
    project, url = up(shared_home, "predicted")
    with Load(url, THREE, doubled_or_tripled) as load:
        load.more()
        project.edit("predictor.py", "* self.slope", "* (self.slope + 1)")
        out = shared_home.ok("up", project.folder)
        load.more()
    assert load.bad == []
    assert set(load.good) == {'{"output":[6.0]}', '{"output":[9.0]}'}
    assert "predicted:1" in out and "predicted:2" not in out
    assert "train predicted: done" not in out, "nothing was trained, and nobody says so"
    assert revision(shared_home, "predicted") == "predicted-00002"
    assert runs(shared_home, "predicted") == 1


def test_retrain_trains_again_and_a_revert_uses_the_version_of_before(shared_home: Home) -> None:
    project, url = up(shared_home, "again")
    out = shared_home.ok("up", project.folder, "--retrain")
    assert "train again: done" in out
    assert runs(shared_home, "again") == 2

    before = (project.folder / "train.py").read_text()
    project.edit("train.py", "params(slope=2)", "dict(slope=3)")
    shared_home.ok("up", project.folder)
    assert post(url, THREE).json() == {"output": [9.0]}
    ran = runs(shared_home, "again")
    project.write("train.py", before)
    out = shared_home.ok("up", project.folder)
    assert "job fingerprint seen in again:" in out
    assert runs(shared_home, "again") == ran
    assert post(url, THREE).json() == {"output": [6.0]}


def test_an_edited_parameter_trains_again(shared_home: Home) -> None:
    project, url = up(shared_home, "tuned")
    project.edit("shipway.yaml", "{slope: 2}", "{slope: 5}")
    out = shared_home.ok("up", project.folder)
    assert "tuned:2" in out
    assert post(url, THREE).json() == {"output": [15.0]}


def test_more_replicas_are_no_new_revision_and_take_part(shared_home: Home) -> None:
    project, url = up(shared_home, "scaled")
    with Load(url, THREE, doubled) as load:
        load.more()
        project.edit("shipway.yaml", "predictor.py:Line", "predictor.py:Line\n  replicas: 2")
        out = shared_home.ok("up", project.folder)
        assert "2/2 replicas" in out
        load.more()
        project.edit("shipway.yaml", "replicas: 2", "replicas: 1")
        shared_home.ok("up", project.folder)
        load.more()
    assert load.bad == []
    assert revision(shared_home, "scaled") == "scaled-00001"


# -- code that breaks


def test_broken_training_code_shows_the_traceback_and_version_1_serves_on(shared_home: Home) -> None:
    project, url = up(shared_home, "broken")
    with Load(url, THREE, doubled) as load:
        load.more()
        project.write("train.py", TRAIN + "\nraise ValueError('the data has a hole')\n")
        done = failed_up(shared_home, project)
        load.more()
    assert load.bad == []
    assert "Traceback (most recent call last)" in done.stderr
    assert "ValueError: the data has a hole" in done.stderr
    assert "goes on serving broken-00001 (broken:1)" in done.stderr
    log = Path(next(line for line in done.stderr.splitlines() if line.startswith("the full log: ")).split(": ")[1])
    assert "learned the slope" in log.read_text() and "a hole" in log.read_text()
    [model] = [one for one in shared_home.json("models") if one["name"] == "broken"]
    assert model["versions"] == 1, "what did not end well is no version"

    document = shared_home.shipway("up", project.folder, "-o", "json")
    assert document.returncode == 1
    project.write("train.py", TRAIN)
    assert "job fingerprint seen in broken:1" in shared_home.ok("up", project.folder)


def test_a_failed_up_as_json_is_one_document_too(shared_home: Home) -> None:
    project, _ = up(shared_home, "jsonly")
    project.write("train.py", "raise ValueError('boom')\n")
    document = json.loads(failed_up(shared_home, project, "-o", "json").stdout)
    [failure] = document["failures"]
    assert failure["kind"] == "ModelJob" and "ValueError: boom" in failure["tail"]
    assert Path(failure["log"]).is_file()
    assert document["error"]["code"] == "WorkloadFailed"


def test_code_that_exits_with_3_is_told_so(shared_home: Home) -> None:
    project = Project.line(shared_home.projects, "exits", train_py="raise SystemExit(3)\n")
    done = failed_up(shared_home, project)
    assert "code 3" in done.stderr
    assert shared_home.json("get", "job", "exits")["status"]["run"]["exitCode"] == 3
    assert "http://" not in done.stdout, "nothing answers: there is no URL to show"


def test_code_that_writes_no_output_is_told_so(shared_home: Home) -> None:
    project, url = up(shared_home, "silent")
    project.write("train.py", "print('nothing to see')\n")
    done = failed_up(shared_home, project)
    assert "SHIPWAY_OUTPUT_DIR" in done.stderr
    assert doubled(post(url, THREE).json())


def test_a_command_that_does_not_exist_is_named(shared_home: Home) -> None:
    project = Project.line(shared_home.projects, "absent")
    project.edit("shipway.yaml", "[python, train.py]", "[no-such-program, train.py]")
    done = failed_up(shared_home, project)
    assert "no-such-program" in done.stderr

    server = Project.line(shared_home.projects, "absent-server", shipway_yaml=SERVER_THAT_IS_NOT_THERE)
    done = failed_up(shared_home, server)
    assert "no-such-server" in done.stderr


SERVER_THAT_IS_NOT_THERE = """
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec:
  command: [no-such-server, --port, $(PORT)]
"""


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("unloadable", 'json.dumps({"slope": slope})', '"{ cut off"', "JSONDecodeError"),
        ("exiting", "import json\n", "import json\nimport no_such_module\n", "no_such_module"),
    ],
)
def test_a_model_that_does_not_load_never_gets_traffic(
    shared_home: Home, name: str, old: str, new: str, reason: str
) -> None:
    project, url = up(shared_home, name)
    file = "train.py" if old in (project.folder / "train.py").read_text() and name == "unloadable" else "predictor.py"
    with Load(url, THREE, doubled) as load:
        load.more()
        project.edit(file, old, new)
        done = failed_up(shared_home, project)
        load.more()
    assert load.bad == []
    assert reason in done.stderr, done.stderr
    assert f"{name} goes on serving {name}-00001" in done.stderr
    assert revision(shared_home, name) == f"{name}-00001"

    project.edit(file, new, old)
    shared_home.ok("up", project.folder)
    assert doubled(post(url, THREE).json())


def test_a_model_whose_warm_up_fails_never_gets_traffic(shared_home: Home) -> None:
    project, url = up(shared_home, "cold")
    project.edit("predictor.py", "x[:, 0] * self.slope", "self.no_such_thing")
    done = failed_up(shared_home, project)
    assert "no_such_thing" in done.stderr
    assert doubled(post(url, THREE).json())


# -- the gate


def test_a_version_that_fails_the_gate_is_kept_and_promoted_when_the_gate_is_lowered(shared_home: Home) -> None:
    project, url = up(shared_home, "gated")
    project.write("train.py", TRAIN.replace("0.95", "0.5").replace("params(slope=2)", "dict(slope=3)"))
    done = failed_up(shared_home, project)
    assert "accuracy 0.5" in done.stderr and "0.9" in done.stderr
    assert "goes on serving gated-00001 (gated:1)" in done.stderr
    assert doubled(post(url, THREE).json())
    shown = shared_home.json("models", "show", "gated:2")["version"]
    assert shown["gate"] == "failed" and "0.9" in shown["gateReason"]
    assert shared_home.json("models", "show", "gated:champion")["version"]["number"] == 1

    ran = runs(shared_home, "gated")
    project.edit("shipway.yaml", "min: 0.9", "min: 0.4")
    out = shared_home.ok("up", project.folder)
    assert "gated:2" in out
    assert runs(shared_home, "gated") == ran, "nothing is trained for a lower gate"
    assert post(url, THREE).json() == {"output": [9.0]}


def test_a_version_worse_than_the_champion_is_held_back(shared_home: Home) -> None:
    project, url = up(shared_home, "rival", shipway_yaml=YAML.replace("min: 0.9", "notWorseThan: champion"))
    project.write("train.py", TRAIN.replace("0.95", "0.94"))
    done = failed_up(shared_home, project)
    assert "0.94" in done.stderr and "0.95" in done.stderr and "rival:1" in done.stderr
    assert doubled(post(url, THREE).json())


def test_a_gate_on_a_metric_that_was_not_logged_says_which_there_are(shared_home: Home) -> None:
    project = Project.line(shared_home.projects, "unmeasured", shipway_yaml=YAML.replace("accuracy", "f1"))
    done = failed_up(shared_home, project)
    assert "f1" in done.stderr and "accuracy" in done.stderr


# -- models that are brought as files

IMPORT = """
apiVersion: shipway.dev/v1alpha1
kind: Model
metadata: {name: NAME}
spec:
  source: {files: [FILE]}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec: {model: NAME, allowPickle: ALLOW}
"""


def brought(home: Home, name: str, file: str, content: bytes, allow: bool) -> Project:
    """A project of a model file and nothing else."""
    text = IMPORT.replace("FILE", file).replace("ALLOW", str(allow).lower())
    project = Project.of(home.projects / name, shipway_yaml=text.replace("NAME", name))
    (project.folder / file).write_bytes(content)
    return project


def test_a_truncated_joblib_file_is_told_and_never_served(shared_home: Home, trained_model: bytes) -> None:
    project = brought(shared_home, "cut", "model.joblib", trained_model[: len(trained_model) // 2], allow=True)
    done = failed_up(shared_home, project)
    assert "model.joblib" in done.stderr and "cut off or damaged" in done.stderr

    (project.folder / "model.joblib").write_bytes(trained_model)
    shared_home.ok("up", project.folder)
    assert post(f"{shared_home.url('cut')}/predict", {"input": [[1.0], [2.0]]}).json() == {"output": [2.0, 4.0]}

    (project.folder / "model.joblib").write_bytes(trained_model[:100])
    done = failed_up(shared_home, project)
    assert "goes on serving cut-" in done.stderr
    assert post(f"{shared_home.url('cut')}/predict", {"input": [[1.0]]}).json() == {"output": [2.0]}


@pytest.mark.extras
def test_a_truncated_onnx_file_is_told(shared_home: Home) -> None:
    pytest.importorskip("onnxruntime")
    project = brought(shared_home, "cut-onnx", "model.onnx", b"\x08\x07\x12\x05ab", allow=False)
    done = failed_up(shared_home, project)
    assert "model.onnx" in done.stderr and "cut off or damaged" in done.stderr


def test_a_pickle_of_unknown_origin_is_never_loaded_silently(shared_home: Home) -> None:
    proof = shared_home.projects / "proof"
    project = brought(shared_home, "stranger", "model.joblib", pickle.dumps(_Writes(proof)), allow=False)
    done = failed_up(shared_home, project)
    assert "allowPickle" in done.stderr
    assert not proof.exists(), "its code ran"


class _Writes:
    """A pickle that writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._path, "it ran")


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A scikit-learn model of y = 2 x, as joblib writes it."""
    joblib = pytest.importorskip("joblib")
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression().fit([[0.0], [1.0], [2.0]], [0.0, 2.0, 4.0])
    model.coef_, model.intercept_ = model.coef_.round(), 0.0
    path = tmp_path_factory.mktemp("trained") / "model.joblib"
    joblib.dump(model, path)
    return path.read_bytes()


# -- what training code may use

PLAIN = """
import json, os, pathlib
folder = pathlib.Path(os.environ["SHIPWAY_OUTPUT_DIR"])
(folder / "model.json").write_text(json.dumps({"slope": 2}))
(folder / "metrics.json").write_text(json.dumps({"accuracy": 0.97}))
"""

EVERYTHING = """
import json
from shipway import inputs, log_metrics, output_dir, params

settings = params(slope=1, unused=7)
assert settings == {"slope": 2, "unused": 7}, settings
[row] = inputs()["data"].read_text().splitlines()
for step in range(3):
    log_metrics({"val/loss": 1.0 / (step + 1)}, step=step, accuracy=0.9 + step / 100)
(output_dir() / "model.json").write_text(json.dumps({"slope": settings["slope"] + float(row)}))
"""


def test_training_code_that_knows_nothing_of_shipway(shared_home: Home) -> None:
    _, url = up(shared_home, "plain", train_py=PLAIN)
    assert doubled(post(url, THREE).json())
    assert shared_home.json("get", "job", "plain")["status"]["metrics"] == {"accuracy": 0.97}


def test_training_code_that_uses_all_of_shipway(shared_home: Home) -> None:
    text = YAML.replace("  params:", "  inputs: {data: {path: data.csv}}\n  params:")
    _, url = up(shared_home, "uses", train_py=EVERYTHING, shipway_yaml=text, data_csv="0.5\n")
    assert post(url, THREE).json() == {"output": [7.5]}
    metrics = shared_home.json("get", "job", "uses")["status"]["metrics"]
    assert metrics == {"val/loss": pytest.approx(1 / 3), "accuracy": pytest.approx(0.92)}
    lineage = shared_home.json("models", "show", "uses:1")["lineage"]
    assert lineage["inputs"]["data"].startswith("sha256:")
    assert request("GET", f"{shared_home.url('uses')}/v2/models/uses").status == 200


def test_an_edited_input_trains_again(shared_home: Home) -> None:
    text = YAML.replace("  params:", "  inputs: {data: {path: data.csv}}\n  params:")
    project, url = up(shared_home, "fed", train_py=EVERYTHING, shipway_yaml=text, data_csv="0.5\n")
    project.write("data.csv", "1\n")
    assert "fed:2" in shared_home.ok("up", project.folder)
    assert post(url, THREE).json() == {"output": [9.0]}
