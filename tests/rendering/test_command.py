"""``shipway render`` in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.cli.main import run
from tests.rendering.projects import DIGEST, GOLDEN, PROJECT

OPTIONS = (
    f"--image=service/digits=ghcr.io/team/digits@{DIGEST}",
    f"--image=job/digits=ghcr.io/team/digits-job@{DIGEST}",
    f"--model=digits=ghcr.io/team/models/digits:2@{DIGEST}",
    "--registry=ghcr.io/team",
    f"--courier=ghcr.io/team/shipway-courier@{DIGEST}",
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    (tmp_path / "vision").mkdir()
    (tmp_path / "vision/shipway.yaml").write_text(PROJECT)
    return str(tmp_path / "vision")


def test_stdout_has_the_yaml_and_no_home_is_made(
    project: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", project, *OPTIONS]) == 0
    out, err = capsys.readouterr()
    assert out == (GOLDEN / "plain.yaml").read_text()
    assert err == "needs the key token of the Secret front in the namespace\n"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("form, golden", [("kustomize", "kustomize"), ("helm", "chart")])
def test_folders_are_the_golden_ones(form: str, golden: str, project: str, tmp_path: Path) -> None:
    namespace = ["--namespace=ml"] if form == "kustomize" else []
    for _ in range(2):  # the second time it writes over its own
        assert run(["render", project, "--format", form, "-o", str(tmp_path / "out"), *namespace, *OPTIONS]) == 0
    made = {path.relative_to(tmp_path / "out"): path.read_text() for path in (tmp_path / "out").rglob("*.yaml")}
    wanted = GOLDEN / golden
    assert made == {path.relative_to(wanted): path.read_text() for path in wanted.rglob("*.yaml")}


def test_a_file_is_written_beside_others(project: str, tmp_path: Path) -> None:
    words = ["render", "-f", f"{project}/shipway.yaml", "--only=service/front-end", "-o"]
    (tmp_path / "mine.yaml").write_text("mine: 1\n")
    assert [run([*words, str(tmp_path / name)]) for name in ("a.yaml", "b.yaml", "a.yaml", "mine.yaml")] == [0, 0, 0, 2]
    assert (tmp_path / "a.yaml").read_text() == (tmp_path / "b.yaml").read_text()
    assert (tmp_path / "mine.yaml").read_text() == "mine: 1\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--format", "helm"], "--format helm makes a folder"),
        (["--format", "helm", "-o", "x", "--namespace", "ml"], "--namespace: a chart has none"),
        (["--image", "digits"], "--image digits: it is NAME=REF"),
        ([], "job 'digits' makes versions of the model 'digits'"),
    ],
)
def test_bad_options_are_one_sentence(
    words: list[str], message: str, project: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", project, *words]) == 2
    assert message in capsys.readouterr().err
