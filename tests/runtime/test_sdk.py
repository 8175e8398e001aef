"""The SDK: framed metric lines, and the folders and values of a job."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from shipway.runtime import sdk


def _frames(text: str) -> list[dict[str, object]]:
    return [
        json.loads(line.removeprefix("\x1eshipway-metrics "))
        for line in text.split("\n")  # not splitlines(): 0x1e is a line boundary to it
        if line.startswith("\x1eshipway-metrics ")
    ]


def test_the_line_is_the_one_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    sdk.log_metrics(accuracy=0.97, step=3)
    assert capsys.readouterr().out == '\x1eshipway-metrics {"metrics": {"accuracy": 0.97}, "step": 3}\n'


def test_a_mapping_and_names_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    sdk.log_metrics({"val/loss": 1}, accuracy=np.float32(0.5), rows=np.int64(7))
    assert _frames(capsys.readouterr().out) == [{"metrics": {"val/loss": 1.0, "accuracy": 0.5, "rows": 7.0}}]


def test_what_json_cannot_say_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    sdk.log_metrics(loss=float("nan"), accuracy=0.5, step=2)
    sdk.log_metrics(loss=float("inf"))
    captured = capsys.readouterr()
    assert _frames(captured.out) == [{"metrics": {"accuracy": 0.5}, "step": 2}]
    assert "metric 'loss' is nan at step 2" in captured.err
    assert "metric 'loss' is inf: not recorded" in captured.err


def test_nothing_to_log_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    sdk.log_metrics()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [True, "0.9", None, [1.0], np.bool_(True), np.array([1.0, 2.0]), 1j])
def test_a_value_that_is_no_number_is_named(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="'accuracy'"):
        sdk.log_metrics({"loss": 1.0, "accuracy": value})  # type: ignore[dict-item]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("step", [1.5, True, "3"])
def test_a_step_is_a_whole_number(step: object) -> None:
    with pytest.raises(TypeError, match="step"):
        sdk.log_metrics(loss=1.0, step=step)  # type: ignore[arg-type]


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="name of a metric"):
        sdk.log_metrics({3: 1.0})  # type: ignore[dict-item]


def test_lines_of_threads_do_not_mix(capfd: pytest.CaptureFixture[str]) -> None:
    def work(number: int) -> None:
        for step in range(50):
            sdk.log_metrics({f"metric{number}": step}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_frames(capfd.readouterr().out)) == 200


def test_output_dir_in_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHIPWAY_OUTPUT_DIR", str(tmp_path / "out"))
    assert sdk.output_dir() == tmp_path / "out"
    assert sdk.output_dir().is_dir()


def test_by_hand_there_is_an_output_folder_and_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SHIPWAY_OUTPUT_DIR", "SHIPWAY_INPUTS", "SHIPWAY_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert sdk.output_dir() == tmp_path / "output"
    assert sdk.inputs() == {}
    assert sdk.params(epochs=3) == {"epochs": 3}


def test_inputs_and_params_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_INPUTS", '{"data": "/srv/data.csv"}')
    monkeypatch.setenv("SHIPWAY_PARAMS", '{"epochs": 5, "name": "x"}')
    assert sdk.inputs() == {"data": Path("/srv/data.csv")}
    assert sdk.params(epochs=3, rate=0.1) == {"epochs": 5, "rate": 0.1, "name": "x"}


def test_import_takes_the_standard_library_alone() -> None:
    code = (
        "import sys; import shipway.runtime.sdk; "
        "print([name for name in sys.modules if name.split('.')[0] in ('numpy', 'msgspec', 'httptools', 'asyncio')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
