"""Every bad input: one clear message, a documented exit code, and nothing lost: version 1 goes on serving."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import YAML, Home, Project, post, request, told

THREE = {"input": [[3]]}


@pytest.fixture(scope="module")
def good(shared_home: Home) -> Iterator[Project]:
    """A project whose version 1 serves, and is all that there is of it when the tests are over."""
    project = Project.line(shared_home.projects, "good")
    shared_home.ok("up", project.folder)
    yield project
    status = shared_home.json("get", "service", "good")["status"]
    assert (status["readyRevision"], status["model"]["version"]) == ("good-00001", 1)
    model = shared_home.json("get", "model", "good")
    assert len(model["status"]["versions"]) == 1


@pytest.fixture(scope="module")
def good_url(shared_home: Home, good: Project) -> str:
    return shared_home.url(good.name)


@pytest.fixture
def still_serving(good_url: str) -> Iterator[str]:
    """The URL of the good service; after the test it answers as before."""
    yield good_url
    assert post(f"{good_url}/predict", THREE).json() == {"output": [6.0]}


def service(line: str) -> str:
    """The tiny project's YAML with one more line in the service's spec."""
    return YAML.replace("  predictor:", f"  {line}\n  predictor:")


BAD_YAML = {
    "does-not-parse": ("kind: [ModelJob\nfoo: }", 2, "this is not YAML"),
    "tabs": ("kind: ModelJob\nspec:\n\tmodel: x\n", 3, "indent with spaces"),
    "unknown-kind": (YAML.replace("kind: ModelJob", "kind: ModelJop"), 2, "did you mean 'ModelJob'"),
    "unknown-field": (service("replica: 2"), 15, "spec.replica: unknown field; did you mean 'replicas'?"),
    "wrong-type": (service("replicas: many"), 15, 'spec.replicas: "many"'),
    "negative-replicas": (service("replicas: -1"), 15, "spec.replicas: -1 is not allowed; must be 0 or more"),
    "invalid-name": (YAML.replace("NAME", "Not_Good"), 3, "'Not_Good' is not a valid name"),
    "bad-quantity": (service("resources: {memory: 2GB}"), 15, "'2GB' is not a memory quantity"),
    "missing-file": (YAML.replace("predictor.py:Line", "absent.py:Line"), 15, "absent.py"),
    "two-objects-of-one-name": (f"{YAML}---{YAML}", 19, "given twice"),
    "both-model-and-command": (service("command: [python, x.py]"), 13, "either model"),
}


@pytest.mark.parametrize("case", BAD_YAML)
def test_a_bad_shipway_yaml_is_told_with_file_line_and_field(
    shared_home: Home, good: Project, still_serving: str, case: str
) -> None:
    text, line, message = BAD_YAML[case]
    before = (good.folder / "shipway.yaml").read_text()
    good.write("shipway.yaml", text.replace("NAME", "good"))
    try:
        done = shared_home.shipway("up", good.folder)
        as_json = shared_home.shipway("up", good.folder, "-o", "json")
    finally:
        good.write("shipway.yaml", before)
    assert done.returncode == 2, told(done)
    assert done.stdout == ""
    assert f"{good.folder}/shipway.yaml:{line}: " in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert as_json.returncode == 2
    assert message in json.loads(as_json.stdout)["error"]["message"]


def test_every_error_of_a_file_is_told_at_once(shared_home: Home, good: Project) -> None:
    bad = Project.line(shared_home.projects, "many", shipway_yaml=service("replicas: -1\n  colour: red"))
    done = shared_home.shipway("up", bad.folder)
    assert "spec.replicas" in done.stderr and "spec.colour" in done.stderr


def test_no_shipway_yaml(shared_home: Home, still_serving: str) -> None:
    folder = shared_home.projects / "empty"
    folder.mkdir()
    done = shared_home.shipway("up", folder)
    assert done.returncode == 3
    assert f"there is no shipway.yaml in {folder}" in done.stderr
    assert f"shipway init {folder}" in done.stderr
    done = shared_home.shipway("up", folder / "nowhere")
    assert done.returncode == 3 and "does not exist" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["frobnicate"], 2, "'frobnicate'"),
        (["up", "--frobnicate"], 2, "No such option"),
        (["get", "pods"], 2, "'pods' is not a kind"),
        (["get", "servces"], 2, "did you mean 'services'?"),
        (["get", "service", "nobody"], 3, "nobody"),
        (["models", "show", "nobody:1"], 3, "nobody"),
        (["models", "show", "good:9"], 3, "versions: 1"),
        (["logs", "nobody"], 3, "nobody"),
        (["delete", "service", "nobody"], 3, "nobody"),
        (["predict", "nobody", "-d", "{}"], 3, "nobody"),
        (["predict", "good"], 2, "give the body once"),
        (["predict", "good", "--file", "/nowhere/at/all"], 2, "does not exist"),
        (["apply", "-f", "/nowhere/at/all"], 3, "does not exist"),
        (["hub", "start", "--listen", "0.0.0.0:80"], 2, "this machine only"),
    ],
)
def test_a_wrong_word_on_the_command_line(
    shared_home: Home, still_serving: str, arguments: list[str], code: int, message: str
) -> None:
    if arguments[:2] == ["hub", "start"]:
        shared_home.ok("hub", "stop")
    done = shared_home.shipway(*arguments)
    if arguments[:2] == ["hub", "start"]:
        shared_home.ok("hub", "start")
    assert done.returncode == code, told(done)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_that_read_say_that_no_hub_runs_and_start_none(home: Home) -> None:
    for arguments in (["status"], ["get", "jobs"], ["hub", "status"], ["models"], ["predict", "x", "-d", "{}"]):
        done = home.shipway(*arguments)
        assert done.returncode == 5, told(done)
        assert "no hub" in done.stderr and "shipway hub start" in done.stderr
    assert home.processes() == []


# -- requests

BAD_BODIES = {
    "no-json": "{",
    "empty": "",
    "a-list": "[1, 2]",
    "no-input": "{}",
    "wrong-shape": '{"input": [[1, 2]]}',
    "ragged": '{"input": [[1], [1, 2]]}',
    "wrong-type": '{"input": [["three"]]}',
    "null": '{"input": null}',
}
BAD_TENSORS = {
    "wrong-shape": {"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]},
    "wrong-datatype": {"name": "x", "datatype": "BYTES", "shape": [1, 1], "data": ["a"]},
    "unknown-datatype": {"name": "x", "datatype": "COMPLEX", "shape": [1, 1], "data": [1]},
    "too-few-values": {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1]},
    "wrong-name": {"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1]},
    "negative-shape": {"name": "x", "datatype": "FP64", "shape": [-1, 1], "data": [1]},
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_rows_that_do_not_fit_are_answered_with_the_signature(still_serving: str, case: str) -> None:
    answer = request("POST", f"{still_serving}/predict", BAD_BODIES[case])
    assert answer.status == 400, answer
    assert "x FP64 [-1, 1]" in answer.json()["error"]


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_do_not_fit_are_answered_with_the_signature(still_serving: str, case: str) -> None:
    answer = post(f"{still_serving}/v2/models/good/infer", {"inputs": [BAD_TENSORS[case]]})
    assert answer.status == 400, answer
    assert "x FP64 [-1, 1]" in answer.json()["error"]


def test_predict_tells_a_bad_request(shared_home: Home, still_serving: str) -> None:
    done = shared_home.shipway("predict", "good", "-d", '{"input": [[1, 2]]}')
    assert done.returncode == 1
    assert "good answered 400" in done.stderr and "x FP64 [-1, 1]" in done.stderr
    assert done.stdout == ""


def test_an_unknown_model_is_404_and_names_the_one_there_is(still_serving: str) -> None:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [1]}
    for answer in (
        request("GET", f"{still_serving}/v2/models/nobody"),
        post(f"{still_serving}/v2/models/nobody/infer", {"inputs": [tensor]}),
    ):
        assert answer.status == 404
        assert "nobody" in answer.json()["error"] and "good" in answer.json()["error"]


def test_an_unknown_path_or_service_is_404(still_serving: str) -> None:
    assert request("GET", f"{still_serving}/no/such/path").status == 404
    gateway = still_serving.removesuffix("/good")
    for path in ("/nobody/predict", "/", "/goodness/predict"):
        answer = request("POST", f"{gateway}{path}", THREE)
        assert answer.status == 404, path
        assert answer.text, "says what is not there"


# -- the machine


def test_a_port_that_is_taken_is_named(home: Home) -> None:
    project = Project.line(home.projects)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        done = home.shipway("up", project.folder, env={"SHIPWAY_GATEWAY_PORT": str(port)})
        assert done.returncode == 5, told(done)
        assert str(port) in done.stderr and "SHIPWAY_GATEWAY_PORT" in done.stderr
        assert "Traceback" not in done.stderr
    assert home.processes() == [], "nothing half-started is left"
    home.ok("up", project.folder)
    url = home.url("line")

    home.ok("hub", "stop")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = {"SHIPWAY_GATEWAY_PORT": str(stranger.getsockname()[1])}
        assert home.shipway("up", project.folder, env=taken).returncode == 5
        assert post(f"{url}/predict", THREE).json() == {"output": [6.0]}, "what runs goes on"
    home.ok("up", project.folder)
    assert home.url("line") == url


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none(home: Home, port: str) -> None:
    done = home.shipway("hub", "start", env={"SHIPWAY_GATEWAY_PORT": port})
    assert done.returncode == 2 and f"'{port}' is not a port" in done.stderr
    assert home.processes() == []


def test_a_home_that_cannot_be_written(home: Home) -> None:
    file = home.projects / "file"
    file.write_text("")
    broken = Home(file / "home")
    done = broken.shipway("hub", "start")
    assert done.returncode == 5, told(done)
    assert "SHIPWAY_HOME" in done.stderr and "Traceback" not in done.stderr


def test_a_model_that_does_not_exist(shared_home: Home, still_serving: str) -> None:
    text = YAML.partition("---\n")[2].replace("model: NAME", "model: nobody")
    project = Project.line(shared_home.projects, "modelless", shipway_yaml=text)
    done = shared_home.shipway("up", project.folder)
    assert done.returncode == 1, told(done)
    assert "there is no model nobody" in done.stderr
    assert done.stdout.strip() or not done.stdout, "no empty line"


def test_a_secret_that_does_not_exist(shared_home: Home, still_serving: str) -> None:
    project = Project.line(
        shared_home.projects, "spy", shipway_yaml=service("env: {TOKEN: {secret: {name: absent, key: TOKEN}}}")
    )
    done = shared_home.shipway("up", project.folder)
    assert done.returncode == 1, told(done)
    assert "absent" in done.stderr and "TOKEN" in done.stderr
    for line in done.stderr.splitlines():
        if line.startswith("the full log: "):
            assert Path(line.partition(": ")[2]).exists(), "a log that is named is there"
    shared_home.ok("secret", "set", "absent", "TOKEN", stdin="x\n")
    shared_home.ok("up", project.folder)


def test_a_requirement_that_cannot_be_met(shared_home: Home, still_serving: str) -> None:
    project = Project.line(shared_home.projects, "needy", requirements_txt="./no-such-wheel-1.0-py3-none-any.whl\n")
    done = shared_home.shipway("up", project.folder)
    assert done.returncode == 1, told(done)
    assert "no-such-wheel" in done.stderr
