"""A model goes from one machine to another by a registry: two homes that share nothing else, and killed hubs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.testing.registry import FakeRegistry, Hang
from tests.e2e.home import EXAMPLES, Home, Project, eventually, fresh_home, post, told
from tests.testing.docker_registry import docker_registry

DIGITS = EXAMPLES / "digits"
SAMPLE = json.loads((DIGITS / "sample.json").read_text())
MIB = 1 << 20
SIZE = 48 * MIB

SERVICE = """
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: digits}
spec:
  model: digits
  predictor: predictor.py:Digits
"""


@pytest.fixture
def other() -> Iterator[Home]:
    """Another machine's."""
    with fresh_home() as made:
        yield made


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


@pytest.fixture(params=["fake", pytest.param("debian", marks=pytest.mark.realtool)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a registry answers: ours, and one that others wrote."""
    if request.param == "fake":
        with FakeRegistry() as fake:
            yield fake.host
    else:
        with docker_registry(tmp_path) as debian:
            yield debian.host


@pytest.fixture
def big(home: Home) -> Path:
    """A model's file that takes a moment to travel, imported as big:1."""
    path = home.projects / "big.onnx"
    path.write_bytes(os.urandom(SIZE))
    home.ok("models", "import", path)
    return path


@pytest.mark.timeout(240)
def test_trained_here_it_serves_there(home: Home, other: Home, host: str) -> None:
    home.ok("up", DIGITS, timeout=120)
    expected = post(f"{home.url('digits')}/predict", SAMPLE).json()
    pushed = home.json("models", "push", "digits", f"{host}/team/digits")
    home.ok("down", "--all")

    pulled = other.json("models", "pull", pushed["reference"])
    assert (pulled["version"], pulled["digest"], pulled["champion"]) == (1, pushed["digest"], True)
    here = other.json("models", "show", "digits:1")
    assert here["version"]["metrics"]["accuracy"] > 0.9
    assert here["lineage"]["job"] == "digits"
    files = {"predictor_py": (DIGITS / "predictor.py").read_text(), "shipway_yaml": SERVICE}
    project = Project.of(other.projects / "digits", **files)
    for name in ("requirements.txt",):
        if (DIGITS / name).exists():
            (project.folder / name).write_text((DIGITS / name).read_text())

    refused = other.shipway("up", project.folder, timeout=120)
    assert (refused.returncode, "PickleNotTrusted" in told(refused)) == (1, True), told(refused)
    assert "is there already" in other.ok("models", "pull", f"{host}/team/digits:1", "--trust")
    other.ok("up", project.folder, timeout=120)
    assert post(f"{other.url('digits')}/predict", SAMPLE).json() == expected
    other.ok("models", "verify", "digits:1")
    other.ok("models", "verify", f"{host}/team/digits:1")
    home.ok("hub", "stop")


def test_a_hub_that_is_killed_in_a_push_leaves_no_tag_and_the_next_one_pushes(
    home: Home, big: Path, registry: FakeRegistry
) -> None:
    trap = registry.fail(Hang(after=8 * MIB, of="request"), path="*/blobs/uploads/*")
    pushing = home.start("models", "push", "big", f"{registry.host}/team/big")
    registry.wait(lambda: registry.requests().received >= 8 * MIB)
    os.kill(home.hub_pid(), signal.SIGKILL)
    out, err = pushing.communicate(timeout=60)
    assert pushing.returncode == 5, out + err
    assert registry.tags("team/big") == {}
    home.ok("hub", "start")
    assert home.json("models", "show", "big:1")["version"].get("pushed", []) == []

    trap.lift()
    pushed = home.json("models", "push", "big", f"{registry.host}/team/big")
    assert registry.tags("team/big") == {"1": pushed["digest"]}
    assert "whole" in home.ok("models", "verify", f"{registry.host}/team/big:1")
    assert home.json("models", "show", "big:1")["version"]["pushed"] == [pushed["reference"]]


def test_a_hub_that_is_killed_in_a_pull_has_no_version_and_the_next_one_resumes(
    home: Home, other: Home, big: Path, registry: FakeRegistry
) -> None:
    pushed = home.json("models", "push", "big", f"{registry.host}/team/big")
    registry.forget()
    trap = registry.fail(Hang(after=16 * MIB), method="GET", path="*/blobs/*")
    pulling = other.start("models", "pull", f"{registry.host}/team/big:1")
    registry.wait(lambda: registry.requests("GET", "*/blobs/*").sent >= 16 * MIB)
    os.kill(eventually(lambda: other.hub_pid()), signal.SIGKILL)
    out, err = pulling.communicate(timeout=60)
    assert pulling.returncode == 5, out + err
    other.ok("hub", "start")
    assert other.json("models") == []

    trap.lift()
    registry.forget()
    pulled = other.json("models", "pull", f"{registry.host}/team/big:1")
    assert (pulled["digest"], pulled["there"]) == (pushed["digest"], False)
    assert registry.requests("GET", "*/blobs/*").sent < SIZE, "nothing was resumed"
    other.ok("models", "export", "big", other.projects / "out")
    assert (other.projects / "out" / "big.onnx").read_bytes() == big.read_bytes()
    assert "whole" in other.ok("models", "verify", "big")


def test_ctrl_c_ends_the_work_in_the_hub(home: Home, big: Path, registry: FakeRegistry) -> None:
    trap = registry.fail(Hang(after=MIB, of="request"), path="*/blobs/uploads/*")
    pushing = home.start("models", "push", "big", f"{registry.host}/team/big")
    registry.wait(lambda: registry.requests().received >= MIB)
    pushing.send_signal(signal.SIGINT)
    out, err = pushing.communicate(timeout=60)
    assert pushing.returncode == 130, out + err
    trap.lift()
    assert "whole" in home.ok("models", "verify", "big")  # time in which it would go on
    assert registry.tags("team/big") == {}
    home.ok("models", "push", "big", f"{registry.host}/team/big")
    assert set(registry.tags("team/big")) == {"1"}
