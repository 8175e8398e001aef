"""The command: what it prints, its exit code, and that it needs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.cli import doctor as command
from shipway.cli.failure import end_of
from shipway.cli.main import run
from shipway.cli.options import Invocation
from shipway.doctor.facts import Facts, Trouble
from tests.doctor.test_verdict import DISK, TIME, WELL

Shipway = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shipway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shipway:
    """Run ``shipway doctor`` on these facts, in a home that does not exist."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(facts: Facts, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(command, "look", lambda where, inherited: facts)
        code = run(["doctor", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_all_is_well(shipway: Shipway) -> None:
    code, out, err = shipway(WELL)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "19 ok, 0 degraded, 0 missing"
    assert "\x1b" not in out, "no colours in a pipe"


def test_what_is_degraded_does_not_fail(shipway: Shipway) -> None:
    code, out, _ = shipway(replace(WELL, time=replace(TIME, synchronised=False)))
    assert code == 0
    lines = out.splitlines()
    line = next(number for number, one in enumerate(lines) if one.startswith("time"))
    assert (
        lines[line + 1] == " " * 23 + "Start a time service (timedatectl set-ntp true), unless the machine is offline "
        "on purpose."
    )


def test_what_is_missing_fails(shipway: Shipway) -> None:
    code, out, _ = shipway(replace(WELL, disks=(replace(DISK, free=0),)), "-o", "json")
    assert code == 1
    lines = {one["topic"]: one for one in json.loads(out)["lines"]}
    assert lines["disk"]["state"] == "missing"
    assert lines["disk"]["nextStep"]


@pytest.mark.slow
def test_a_bundle_is_written_whatever_is_wrong(shipway: Shipway, tmp_path: Path) -> None:
    code, out, _ = shipway(replace(WELL, store=Trouble("broken")), "--bundle")
    assert code == 0
    path = Path(out.splitlines()[-1])
    assert path.parent == tmp_path and path.name.startswith("shipway-doctor-")
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_bundle_has_a_name_that_one_chooses_once(shipway: Shipway, tmp_path: Path) -> None:
    code, out, _ = shipway(WELL, "--bundle", "report.tgz", "-o", "json")
    said = json.loads(out)
    assert (code, said["path"]) == (0, str(tmp_path / "report.tgz"))
    assert said["contents"]["README.txt"] == "this list"
    code, _, err = shipway(WELL, "--bundle", "report.tgz")
    assert code == 2
    assert "report.tgz exists" in err


def test_a_package_that_is_gone_is_no_bug_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert end_of(ModuleNotFoundError("No module named 'yaml'", name="yaml"), Invocation()) == 5
    assert "the Python package 'yaml', which Shipway needs, is not installed" in capsys.readouterr().err
    assert end_of(ModuleNotFoundError("No module named 'shipway.x'", name="shipway.x"), Invocation()) == 70
