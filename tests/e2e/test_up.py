"""``shipway up examples/digits`` from an empty home, and what a user does next."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import EXAMPLES, ROOT, SHIPWAY, Home, Project, fresh_home, post, request, told

NOBODY = 65534
DIGITS = EXAMPLES / "digits"
SAMPLE = json.loads((DIGITS / "sample.json").read_text())

_TRUTH = """
import json, sys, joblib, numpy
model = joblib.load(sys.argv[1] + "/model.joblib")
rows = numpy.array(json.load(open(sys.argv[2]))["input"], dtype=float) / 16
chances = model.predict_proba(rows)
print(json.dumps({"digit": model.classes_[chances.argmax(axis=1)].tolist(), "probabilities": chances.tolist()}))
"""


@pytest.fixture(scope="module")
def first(shared_home: Home) -> subprocess.CompletedProcess[str]:
    """The first ``up`` of the module's home, as typed in the README."""
    done = shared_home.shipway("up", "examples/digits")
    assert done.returncode == 0, told(done)
    return done


@pytest.fixture(scope="module")
def truth(shared_home: Home, first: subprocess.CompletedProcess[str], python: Path) -> Any:
    """What the model itself says of the sample: loaded from the files of the version, without Shipway."""
    [replica] = shared_home.processes("replica")
    variables = dict(
        word.split("=", 1) for word in Path(f"/proc/{replica.pid}/environ").read_text().split("\0") if "=" in word
    )
    arguments = [str(python), "-c", _TRUTH, variables["SHIPWAY_MODEL_DIR"], str(DIGITS / "sample.json")]
    return json.loads(subprocess.run(arguments, capture_output=True, check=True, text=True).stdout)


@pytest.fixture(scope="module")
def python() -> Path:
    return SHIPWAY.parent / "python"


def test_up_tells_the_steps_and_what_it_made_through_a_pipe(first: subprocess.CompletedProcess[str]) -> None:
    lines = first.stdout.splitlines()
    assert first.stderr == ""
    assert "\x1b" not in first.stdout and "\r" not in first.stdout
    assert lines[0].startswith("train digits ...")
    assert any(line.startswith("train digits: done in ") and "accuracy 0.9" in line for line in lines)
    metrics = [line.strip() for line in lines if line.strip().startswith("digits step ")]
    assert "accuracy 0." in metrics[3] and "loss " in metrics[3], "metrics as they arrive"
    model = next(line for line in lines if line.startswith("model "))
    assert "digits:1" in model and "sha256:" in model and "accuracy 0.9" in model
    assert any(line.startswith("service  digits  http://127.0.0.1:") for line in lines)


def test_predictions_are_the_models_own(shared_home: Home, truth: Any) -> None:
    url = shared_home.url("digits")
    answer = post(f"{url}/predict", SAMPLE)
    assert answer.status == 200
    assert answer.json()["output"]["digit"] == truth["digit"] == [0, 1, 2]
    for got, want in zip(answer.json()["output"]["probabilities"], truth["probabilities"], strict=True):
        assert got == pytest.approx(want)

    tensor = {"name": "pixels", "datatype": "FP64", "shape": [3, 64], "data": SAMPLE["input"]}
    answer = post(f"{url}/v2/models/digits/infer", {"inputs": [tensor]})
    outputs = {one["name"]: one for one in answer.json()["outputs"]}
    assert outputs["digit"]["data"] == truth["digit"]


def test_the_printed_curl_line_answers_when_pasted(first: subprocess.CompletedProcess[str], truth: Any) -> None:
    line = next(one for one in first.stdout.splitlines() if one.startswith("try it"))
    pasted = subprocess.run(
        ["bash", "-c", line.removeprefix("try it").strip()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(pasted.stdout)["output"]["digit"] == truth["digit"]


def test_up_again_names_the_reason_and_starts_nothing(
    shared_home: Home, first: subprocess.CompletedProcess[str]
) -> None:
    revision = shared_home.json("get", "service", "digits")["status"]["readyRevision"]
    jobs = shared_home.json("jobs")
    before = shared_home.processes()
    again = shared_home.ok("up", "examples/digits")
    assert "job fingerprint seen in digits:1" in again
    assert "train digits" not in again
    assert shared_home.processes() == before
    assert shared_home.json("get", "service", "digits")["status"]["readyRevision"] == revision
    assert shared_home.json("jobs") == jobs, "an `up` that changes nothing writes nothing"


def test_up_as_json_is_one_document_and_nothing_else(
    shared_home: Home, first: subprocess.CompletedProcess[str]
) -> None:
    done = shared_home.shipway("up", "examples/digits", "-o", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert document["upToDate"] is True
    assert document["failures"] == []
    assert document["models"][0]["version"] == "digits:1"
    assert document["models"][0]["metrics"]["accuracy"] > 0.9
    [service] = document["services"]
    assert service["url"] == shared_home.url("digits")


def test_the_version_has_lineage_metrics_and_a_ledger(
    shared_home: Home, first: subprocess.CompletedProcess[str]
) -> None:
    detail = shared_home.json("models", "show", "digits:1")
    version, lineage = detail["version"], detail["lineage"]
    assert version["digest"].startswith("sha256:")
    assert version["metrics"]["accuracy"] > 0.9
    assert version["format"] == "sklearn-joblib"
    assert lineage["job"] == "digits"
    assert lineage["params"] == {"epochs": 20, "hidden": 64}
    assert lineage["source"].startswith("sha256:")
    assert lineage["fingerprint"].startswith("sha256:")
    assert {"requirements", "interpreter", "platform", "inputs"} <= set(lineage["components"])
    assert [entry["reason"] for entry in detail["ledger"]] == ["ChampionMoved", "Live"]

    by_alias = shared_home.json("models", "show", "digits:champion")
    assert by_alias["version"] == version
    text = shared_home.ok("models", "show", "digits:1")
    assert version["digest"] in text and "accuracy 0.9" in text and "all traffic goes to digits-00001" in text
    assert "digits:1" in shared_home.ok("models", "show", "digits")


def test_the_job_keeps_its_metrics_and_its_log(shared_home: Home, first: subprocess.CompletedProcess[str]) -> None:
    [job] = shared_home.json("jobs")
    assert job["status"]["phase"] == "Succeeded"
    assert job["status"]["metrics"]["accuracy"] > 0.9 and job["status"]["metrics"]["loss"] < 1
    logs = shared_home.ok("logs", "job/digits")
    assert "digits that it has not seen: 0.9" in logs
    assert "\x1e" not in logs


@pytest.mark.parametrize("way", ["data", "file", "stdin"])
def test_predict_sends_a_body(shared_home: Home, first: subprocess.CompletedProcess[str], truth: Any, way: str) -> None:
    body = json.dumps(SAMPLE)
    arguments: dict[str, list[str | Path]] = {
        "data": ["-d", body],
        "file": ["--file", DIGITS / "sample.json"],
        "stdin": ["-"],
    }
    out = shared_home.ok("predict", "digits", *arguments[way], stdin=body if way == "stdin" else "")
    assert json.loads(out)["output"]["digit"] == truth["digit"]


def test_status_and_lists_show_it(shared_home: Home, first: subprocess.CompletedProcess[str]) -> None:
    url = shared_home.url("digits")
    status = shared_home.ok("status")
    assert "digits:1" in status and url in status and str(shared_home.hub_pid()) in status
    assert "1/1" in shared_home.ok("services")
    assert ["digits", "1", "1", "1"] in [line.split()[:4] for line in shared_home.ok("models").splitlines()]
    assert "Succeeded" in shared_home.ok("jobs", "-o", "wide")
    document = shared_home.json("status")
    assert {one["kind"] for one in document["objects"]} == {"Cluster", "ModelJob", "Model", "ModelService"}


@pytest.mark.parametrize("kind", ["jobs", "models", "services", "revisions", "routes", "clusters", "ModelService"])
def test_get_prints_every_kind_in_every_format(
    shared_home: Home, first: subprocess.CompletedProcess[str], kind: str
) -> None:
    items = shared_home.json("get", kind)
    name = items[0]["metadata"]["name"]
    assert len(items) == 1 and name in shared_home.ok("get", kind) and name in shared_home.ok("get", kind, "-o", "wide")
    assert shared_home.json("get", kind, name) == items[0]
    assert f"name: {name}" in shared_home.ok("get", kind, name, "-o", "yaml")


def test_only_this_machine_is_listened_on(shared_home: Home, first: subprocess.CompletedProcess[str]) -> None:
    listening = shared_home.listening()
    assert listening, "the gateway and one replica"
    assert {address for address, _ in listening} == {"127.0.0.1"}


def test_nobody_else_may_read_the_home(shared_home: Home, first: subprocess.CompletedProcess[str]) -> None:
    assert shared_home.path.stat().st_mode & 0o777 == 0o700
    assert shared_home.ok("hub", "status")
    socket = next(shared_home.path.rglob("hub.sock"))
    assert socket.stat().st_mode & 0o777 == 0o600


def test_two_homes_never_meet(shared_home: Home, first: subprocess.CompletedProcess[str]) -> None:
    with fresh_home() as other:
        project = Project.line(other.projects, "digits")  # the same name, and something else behind it
        other.ok("up", project.folder)
        assert other.url("digits") != shared_home.url("digits")
        assert post(f"{other.url('digits')}/predict", {"input": [[3]]}).json() == {"output": [6.0]}
        assert post(f"{shared_home.url('digits')}/predict", SAMPLE).json()["output"]["digit"] == [0, 1, 2]
        mine, theirs = (
            {process.pid for process in home.processes()} | {port for _, port in home.listening()}
            for home in (shared_home, other)
        )
        assert not mine & theirs
        other.ok("down", "--all")
        other.ok("hub", "stop")
        assert post(f"{shared_home.url('digits')}/predict", SAMPLE).status == 200


def _quiet_port() -> int:
    """Free, and where nobody looks: below what the kernel hands out, above what homes try."""
    for port in range(20_000 + os.getpid() % 5_000, 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def test_down_and_hub_stop_leave_no_process_and_no_port_and_keep_the_models() -> None:
    with fresh_home() as home:
        project = Project.line(home.projects)
        # A port outside of where homes look for one: a test at our side must not take it while we are down.
        assert home.shipway("hub", "start", env={"SHIPWAY_GATEWAY_PORT": str(_quiet_port())}).returncode == 0
        home.ok("up", project.folder)
        url, revision = home.url("line"), "line-00001"
        out = home.ok("down", "--all")
        assert "ModelService/line is down" in out
        assert home.processes("replica", "worker", "envoy", "supervisor") == []
        assert home.listening() == []
        assert [one["name"] for one in home.json("models")] == ["line"]
        home.ok("hub", "stop")
        assert home.processes() == []
        with pytest.raises(ConnectionRefusedError):
            request("GET", url)

        back = home.ok("up", project.folder)
        assert "job fingerprint seen in line:1" in back, "the model was kept: nothing is trained"
        assert home.url("line") == url, "a home keeps its port"
        assert revision in back


@pytest.mark.parametrize("arguments", [["hub", "start"], ["up", "PROJECT"]])
def test_no_daemon_keeps_the_pipe_of_a_program_that_captures_the_output(home: Home, arguments: list[str]) -> None:
    project = Project.line(home.projects)
    words = [str(project.folder) if word == "PROJECT" else word for word in arguments]
    with home.start(*words) as command:
        assert command.wait(30) == 0
        out, err = command.communicate(timeout=10)  # raises when a daemon holds a pipe
    assert out and err == ""
    assert home.processes("hub")


def test_up_under_a_shell_pipe_returns(home: Home) -> None:
    project = Project.line(home.projects)
    log = home.projects / "log"
    line = f"{SHIPWAY} up {project.folder} | tee {log}"
    done = subprocess.run(["bash", "-c", line], env=home.variables(), capture_output=True, text=True, timeout=30)
    assert "try it" in done.stdout and log.read_text() == done.stdout


@pytest.fixture
def a_users_home() -> Iterator[Home]:
    """A home of somebody who is not root: of nobody where the tests run as root, else of who runs them.

    Nobody is given one right, to read: the interpreter of root's tests often lies in root's own home.
    """
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *rights)
    with fresh_home(become if os.getuid() == 0 else ()) as made:
        if made.prefix:
            os.chown(made.path.parent, NOBODY, NOBODY)
        yield made


def test_up_as_a_user_who_is_not_root(a_users_home: Home) -> None:
    project = Project.line(a_users_home.projects)
    out = a_users_home.ok("up", project.folder)
    assert "line:1" in out
    assert post(f"{a_users_home.url('line')}/predict", {"input": [[3]]}).json() == {"output": [6.0]}
    processes = a_users_home.processes()
    assert {process.role for process in processes} == {"hub", "supervisor", "envoy", "replica", "worker"}
    assert 0 not in {_uid(process.pid) for process in processes}
    assert {one.stat().st_uid for one in a_users_home.path.rglob("*")} == {_uid(processes[0].pid)}


def _uid(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2])
