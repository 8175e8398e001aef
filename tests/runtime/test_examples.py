"""The examples' own code, by hand; that `shipway up` takes them is tested end to end."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from shipway.runtime.server.codec import rows
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import call
from shipway.runtime.server.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_digits_learns_and_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = EXAMPLES / "digits"
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path))
    monkeypatch.setenv("SHIPWAY_ALLOW_PICKLE", "1")
    monkeypatch.setattr(sys, "path", [*sys.path])
    runpy.run_path(str(folder / "train.py"))
    metrics = [json.loads(line.split(" ", 1)[1]) for line in capsys.readouterr().out.split("\n") if "\x1e" in line]
    assert metrics[-1]["metrics"]["accuracy"] > 0.95
    model = load(Settings(model_dir=tmp_path, predictor=f"{folder / 'predictor.py'}:Digits"))
    answer = call(model, rows.decode((folder / "sample.json").read_bytes(), Door(model.signature)))
    assert answer.outputs["digit"].tolist() == [0, 1, 2]


def test_the_flask_app_is_strict_and_right() -> None:
    client = runpy.run_path(str(EXAMPLES / "flask-app" / "app.py"))["app"].test_client()
    assert client.post("/predict", json={"input": [1, 2, 3]}).get_json() == {"output": [3, 5, 7]}
    assert b"/predict" in client.get("/").data
    for body in ("", "{", "[]", '{"input": 3}', '{"input": ["a"]}', '{"input": [true]}'):
        assert client.post("/predict", data=body, content_type="application/json").status_code == 400
