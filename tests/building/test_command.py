"""The command: what it prints, and what it says to options that cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.cli.main import run
from tests.building.conftest import Builds


@pytest.fixture
def home(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> Builds:
    monkeypatch.setenv("SHIPWAY_HOME", str(builds.where.home))
    monkeypatch.delenv("SHIPWAY_BASE", raising=False)
    monkeypatch.delenv("SHIPWAY_REGISTRY", raising=False)
    monkeypatch.delenv("SHIPWAY_ENCRYPTION_KEY_FILE", raising=False)
    return builds


def test_text_and_json_say_the_same(home: Builds, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home.project()
    assert run(["build", str(folder), "--base", home.base]) == 0
    text = capsys.readouterr().out
    assert run(["build", str(folder), "-o", "json"]) == 0  # the base is the lock's
    [image] = json.loads(capsys.readouterr().out)["images"]
    place = f"oci:{home.where.oci}:image/echo:latest"
    assert text.startswith(f"echo:latest  {image['digest']}\nlinux/amd64: ")
    assert text.endswith(f"is at {place}\nrun it: podman run --rm -p 127.0.0.1:9000:9000 {place}\n")
    assert image["places"] == [place]
    assert image["lock"] == str(folder / "pylock.echo.toml")
    assert image["base"]["name"] == home.base
    [platform] = image["platforms"]
    assert platform["size"] == sum(one["size"] for one in platform["layers"])
    assert [one["what"] for one in platform["layers"]] == ["user 10001", "virtual environment", "code: 1 file, 15 B"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--locked", "--upgrade"], "contradict each other"),
        (["--platform", "windows/amd64"], "is not a platform"),
        (["--build-arg", "A=1"], "--build-arg belongs to a Dockerfile"),
        (["--target", "x"], "--target belongs to a Dockerfile"),
        (["--with", "buildah"], "--with belongs to a Dockerfile"),
        (["--tag", "not a tag"], "is no name of an image"),
        (["--name", "UPPER"], "is no name of an image"),
        (["-f", "no-such-file"], "there is no no-such-file"),
        (["--only", "echo"], "--only echo"),
        (["--push", "ghcr.io/team/echo@sha256:" + "0" * 64], "names a digest"),
        (["--push", "nowhere"], "is not a reference to a registry"),
        (["--push"], "SHIPWAY_REGISTRY is not set"),
        (["--model", "digits"], "--model digits"),
        (["--courier", "--only", "service/echo"], "--only and --courier"),
        (["--base", "oci:"], "names no file"),
        (["--allow", "nothing.pem"], "--allow nothing.pem matches no file"),
    ],
)
def test_options_that_cannot_be(
    home: Builds, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home.project()
    base = [] if {"--base", "-f"} & {*options} else ["--base", home.base]
    assert run(["build", str(folder), *base, *options]) in (2, 3)
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out


def test_a_dockerfile(home: Builds, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home.project()
    file = folder / "Dockerfile"
    file.write_text(
        f"FROM {home.base}\nARG WHO=me\nWORKDIR /srv\nCOPY echo.py .\n"
        'ENV WHO=$WHO\nEXPOSE 5000\nCMD ["python3", "echo.py"]\n'
    )
    assert run(["build", str(folder), "-f", str(file), "--build-arg", "WHO=you", "--name", "docker", "-o", "json"]) == 0
    [image] = json.loads(capsys.readouterr().out)["images"]
    assert image["image"] == "docker:latest"
    assert "-p 127.0.0.1:5000:5000" in image["run"]
    assert run(["build", str(folder), "-f", str(file), "--base", home.base]) == 2
    assert "the Dockerfile says what the image is made of" in capsys.readouterr().err


def test_a_build_arg_without_a_value(home: Builds, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home.project()
    (folder / "Dockerfile").write_text(f"FROM {home.base}\n")
    assert run(["build", str(folder), "-f", str(folder / "Dockerfile"), "--build-arg", "WHO"]) == 2
    assert "--build-arg WHO: it is NAME=VALUE" in capsys.readouterr().err
