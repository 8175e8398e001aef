"""``shipway init --ci``: pipelines that their systems take, and that hold no secret."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shipway import __version__, pipelines
from shipway.cli.main import COMMANDS, run


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_it_is_yaml_that_installs_builds_and_renders(system: str) -> None:
    text = pipelines.text(system)
    assert isinstance(yaml.safe_load(text), dict)
    assert f"pip install shipway=={__version__}" in text


@pytest.mark.parametrize("system", pipelines.FILES)
def test_what_it_calls_are_commands_of_ours_with_their_options(system: str) -> None:
    lines = [one for one in pipelines.text(system).splitlines() if not one.lstrip().startswith(("#", "//"))]
    called = re.findall(r"\bshipway\"? (build|render|up)\b([^\n]*)", "\n".join(lines))
    assert {one for one, _ in called} == {"build", "render"} <= COMMANDS.keys()
    assert ("render", " --format kustomize -o deploy $RENDER_OPTIONS") in called


@pytest.mark.parametrize("system", pipelines.FILES)
def test_secrets_come_from_the_system_alone(system: str) -> None:
    text = pipelines.text(system)
    for line in text.splitlines():
        if re.search(r"password|token", line, re.IGNORECASE) and not line.lstrip().startswith(("#", "//")):
            assert re.search(r"secrets\.|\$\w+|credentials|Variable:", line), line


def test_the_braces_of_a_jenkinsfile_close() -> None:
    text = pipelines.text("jenkins")
    assert text.count("{") == text.count("}")
    assert text.count("'''") % 2 == 0


@pytest.mark.parametrize("system", pipelines.FILES)
def test_the_command_writes_it_once(system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--ci", system, str(tmp_path)]) == 0
    file = tmp_path / pipelines.FILES[system]
    assert file.read_text() == pipelines.text(system)
    assert not (tmp_path / "shipway.yaml").exists()
    assert run(["init", "--ci", system, str(tmp_path)]) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err


def test_a_folder_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--ci", "github", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.extras
@pytest.mark.parametrize("system, schema", [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")])
def test_its_systems_own_schema_takes_it(system: str, schema: str, tmp_path: Path) -> None:
    file = pipelines.write(tmp_path, system)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
