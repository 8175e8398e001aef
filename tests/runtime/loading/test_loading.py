"""Which model is served, and why one is refused: exit 3 with the reason as the last line."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.formats import find, open_model
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.estimator import estimator_model
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import Model, call
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.settings import Settings, read
from shipway.runtime.signature import Signature, Tensor
from tests.runtime.conftest import Digits, Serve


def _folder(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("clf.joblib", "notes.txt"), "clf.joblib"),
        (("a.pkl", "model.pickle"), "model.pickle"),
        (("model.joblib", "model.onnx"), "model.onnx"),
        (("a.skops", "b.joblib"), "a.skops"),
        ((".hidden.onnx", "b.joblib"), "b.joblib"),
    ],
)
def test_the_file_is_found_by_its_name(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    assert find(_folder(tmp_path, *names)).path.name == found


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "no model file in .* holds: nothing"),
        (("weights.bin",), r"holds: weights.bin\): save one as"),
        (("a.joblib", "b.pkl"), "a.joblib, b.pkl: several models"),
    ],
)
def test_a_folder_without_a_clear_model_is_refused(tmp_path: Path, names: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        find(_folder(tmp_path, *names))


def test_a_pickle_needs_permission(digits: Digits) -> None:
    with pytest.raises(
        ModelRefused, match=r"model.joblib is a pickle of unknown origin.*allowPickle: true.*skops.*ONNX"
    ):
        open_model(find(digits.folder), allow_pickle=False)


def test_another_version_of_scikit_learn_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "0.9")
        joblib.dump(model, tmp_path / "model.joblib")
    open_model(find(tmp_path), allow_pickle=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: model.joblib: Trying to unpickle estimator LinearRegression from version 0.9")


def test_a_regressor_gives_predictions() -> None:
    model = estimator_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), "m")
    answer = call(model, Call({"input": np.array([[3.0]])}))
    assert answer.outputs["prediction"].round(6).tolist() == [6.0]
    assert model.learned(answer.outputs).signature.outputs == (Tensor("prediction", "FP64", (-1,)),)


def test_what_has_no_predict_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"m\.joblib holds a dict, which has no predict"):
        estimator_model({}, "m.joblib")


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        ([1.0, 2.0], Refused, r"'output' has shape \[2\]: its first dimension must be the 1 rows"),
        (3.0, Refused, "first dimension"),
        ({"y": [object()]}, Refused, "'y': it holds Python objects"),
        (None, Refused, "'output'"),
        ({"y": [1.0]}, BadInput, "unknown output 'z'; the model gave y"),
    ],
)
def test_what_a_model_returns_is_checked(result: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(Model("test", lambda _call: result), Call({"x": np.zeros(1)}, wanted=("z",)))


def test_user_code_fails_with_its_type_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_call: Call) -> object:
        raise SystemExit(4)

    with pytest.raises(Refused, match="predict failed: SystemExit: 4"):
        call(Model("test", broken), Call({"x": np.zeros(1)}))
    assert "Traceback" in capsys.readouterr().err


def test_a_sample_may_be_an_array() -> None:
    model = Model("test", print, Signature((Tensor("x", "BYTES", (-1,)),)), sample=lambda: ["hello"])
    assert {name: value.tolist() for name, value in (model.warmup_inputs() or {}).items()} == {"x": ["hello"]}


def test_settings_are_read_from_the_environment() -> None:
    assert read({}) == Settings()
    assert read({"PORT": "81", "HOST": "::1", "SHIPWAY_ALLOW_PICKLE": "1"}) == Settings(
        host="::1", port=81, allow_pickle=True
    )
    assert read({"SHIPWAY_SERVER": '{"batching": {"maxRows": 8}}'}).server.batching.max_rows == 8
    with pytest.raises(ModelRefused, match=r"SHIPWAY_SERVER=.*64MiB.*Expected `int`"):
        read({"SHIPWAY_SERVER": '{"maxBody": "64MiB"}'})
    with pytest.raises(ModelRefused, match="SHIPWAY_GRPC_PORT='-1' is not a port"):
        read({"SHIPWAY_GRPC_PORT": "-1"})
    with pytest.raises(ModelRefused, match="nothing to serve"):
        load(Settings())


PREDICTOR = "from shipway import Predictor\nclass P(Predictor):\n    "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "reference", "reason"),
    [
        (None, "p.py:P", "predictor p.py:P: there is no file p.py in "),
        ("", "p.py", "predictor 'p.py' must look like predictor.py:Digits"),
        (PREDICTOR + "pass", "p.py:Q", "predictor p.py:Q: no class 'Q'; p.py has: P"),
        ("class P: pass", "p.py:P", "'P' is no subclass of shipway.Predictor; p.py has: no Predictor"),
        ("import nope", "p.py:P", "p.py could not be imported: ModuleNotFoundError: No module named 'nope'"),
        ("def (", "p.py:P", "p.py could not be imported: SyntaxError: "),
        (PREDICTOR + "def load(self, d): raise OSError('a\\nb')", "p.py:P", "p.py:P could not load: OSError: a b"),
        (
            PREDICTOR + "load = lambda s, d: None; warmup = lambda s: [1]; predict = lambda s, x: x / nope",
            "p.py:P",
            "the warm-up call failed: predict failed: NameError: name 'nope' is not defined; a Predictor may give",
        ),
        (PREDICTOR + "load = lambda s, d: None; warmup = lambda s: [1]", "p.py:P", "P has no predict(self, x)"),
    ],
)
def test_a_predictor_that_cannot_serve_exits_3(
    serve: Serve, tmp_path: Path, code: str | None, reference: str, reason: str
) -> None:
    if code is not None:
        (tmp_path / "p.py").write_text(code)
    exit_code, stderr = serve(None, reference).end()
    assert exit_code == 3
    assert reason in stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_file_that_is_cut_off_exits_3(serve: Serve, tmp_path: Path, digits: Digits) -> None:
    whole = (digits.folder / "model.joblib").read_bytes()
    folder = _folder(tmp_path)
    (folder / "model.joblib").write_bytes(whole[: len(whole) // 2])
    code, stderr = serve(folder, SHIPWAY_ALLOW_PICKLE="1").end()
    assert code == 3
    assert stderr.startswith(f"model.joblib ({len(whole) // 2} bytes) is cut off or damaged")
    assert len(stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_pickle_of_unknown_origin_exits_3(serve: Serve, digits: Digits) -> None:
    code, stderr = serve(digits.folder).end()
    assert code == 3
    assert "allowPickle: true" in stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_predictor_of_ones_own(serve: Serve, tmp_path: Path, digits: Digits) -> None:
    (tmp_path / "scaling.py").write_text("FACTOR = 16\n")
    (tmp_path / "p.py").write_text(
        "from scaling import FACTOR\n"
        "from shipway import Predictor\n"
        "from shipway.runtime.errors import BadInput\n"
        "class P(Predictor):\n"
        "    def predict(self, x):\n"
        "        if x.shape[1] != 64: raise BadInput('64 pixels, please')\n"
        "        if x.max() > 99: raise KeyError('too bright')\n"
        "        return self.model.predict(x / FACTOR)\n"
    )
    server = serve(digits.folder, "p.py:P", SHIPWAY_ALLOW_PICKLE="1")
    server.wait()
    rows = (digits.x[:5] * 16).tolist()
    assert server.ask("POST", "/predict", {"input": rows}) == (
        200,
        {"output": digits.model.predict(digits.x[:5]).tolist()},
    )
    assert server.ask("POST", "/predict", {"input": [[1]]}) == (400, {"error": "64 pixels, please"})
    status, answer = server.ask("POST", "/predict", {"input": [[100] * 64]})
    assert (status, answer) == (500, {"error": "predict failed: KeyError: 'too bright'"})
    server.process.terminate()
    assert "Traceback" in server.end()[1]


@pytest.mark.slow
def test_an_async_predictor_answers_many_at_a_time(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(
        "import asyncio\n"
        "from shipway import Predictor\n"
        "class P(Predictor):\n"
        "    def load(self, model_dir): self.both = asyncio.Barrier(2)\n"
        "    async def predict(self, x):\n"
        "        await asyncio.wait_for(self.both.wait(), 10)\n"
        "        return {'a': x['a'], 'b': x['b']}\n"
    )
    server = serve(None, "p.py:P")
    server.wait()
    body = b'{"input": {"a": [1], "b": ["u"]}}'
    with contextlib.closing(server.connect()) as one, contextlib.closing(server.connect()) as two:
        for connection in (one, two):
            connection.request("POST", "/predict", body)
        answers = [connection.getresponse().read() for connection in (one, two)]
    assert answers == [b'{"output":{"a":[1],"b":["u"]}}'] * 2


@pytest.mark.slow
def test_the_runtime_needs_nothing_else_of_shipway(serve: Serve, tmp_path: Path, digits: Digits) -> None:
    """The body that a workload gets: the facade and ``runtime/``, and no more."""
    import shipway

    home = Path(shipway.__file__).parent
    body = tmp_path / "body" / "shipway"
    shutil.copytree(home / "runtime", body / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(home / "__init__.py", body)
    listing = "import shipway, shipway.runtime.server.lifecycle as it; print(shipway.__file__, it.__file__)"
    env = {"PYTHONPATH": str(body.parent)}
    found = subprocess.run([sys.executable, "-c", listing], env=env, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(body / "__init__.py"), str(body / "runtime/server/lifecycle.py")]
    server = serve(digits.folder, SHIPWAY_ALLOW_PICKLE="1", PYTHONPATH=str(body.parent))
    server.wait()
    status, answer = server.ask("POST", "/predict", {"input": digits.x[0].tolist()})
    assert (status, answer["output"]["label"]) == (200, digits.model.predict(digits.x[:1]).tolist())
