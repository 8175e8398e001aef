"""``shipway import`` in this process."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shipway.cli.main import run
from tests.importing.samples import FOLDER, golden


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))


def test_yaml_is_on_stdout_and_all_else_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "-f", str(FOLDER / "wordpress.yaml")]) == 0
    out, err = capsys.readouterr()
    assert golden("wordpress").read_text().startswith(out)
    assert "secret: shipway secret set mysql-pass password" in err


def test_stdin_and_several_files(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (FOLDER / "nginx.yaml").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert run(["import", "-f", "-", "-f", str(FOLDER / "redis-config.yaml")]) == 0
    assert capsys.readouterr().out.startswith("# Made by `shipway import` of stdin, redis-config.yaml.")


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "shipway.yaml"
    words = ["import", "-f", str(FOLDER / "nginx.yaml"), "-o", str(made)]
    assert run(words) == 0
    text = made.read_text()
    assert run(words) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert made.read_text() == text


def test_nothing_that_runs_is_an_error_that_lists_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}}}")
    assert run(["import", "-f", str(file)]) == 2
    err = capsys.readouterr().err
    assert "Service/a: no workload in these files fits" in err
    assert "none of these objects runs anything" in err


def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert run(["import", "-f", str(tmp_path / "bytes.yaml")]) == 2
    assert run(["import", "-f", str(tmp_path / "none.yaml")]) == 2
    err = capsys.readouterr().err
    assert "is not UTF-8 text" in err
    assert "cannot be read: No such file or directory" in err
