"""A server of the user's own, and the commands around it: apply, delete, down, logs, hub, secret, completion."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.home import EXAMPLES, ROOT, SHIPWAY, Home, Load, Project, eventually, post, request, told

# A server with nothing but the standard library: what Flask is for users, without its 300 ms.
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps({"output": body["input"], "path": self.path, "token": os.environ.get("TOKEN", "")})
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def do_GET(self):
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

print("listening on", os.environ["PORT"])
print("to stderr", file=sys.stderr)
ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec:
  command: [python, server.py]
"""


def server(home: Home, name: str, yaml: str = YAML) -> Project:
    return Project.of(home.projects / name, server_py=SERVER, shipway_yaml=yaml.replace("NAME", name))


def names(home: Home, kind: str) -> list[str]:
    return [one["metadata"]["name"] for one in home.json("get", kind)]


def supervised(home: Home, workload: str) -> bool:
    return any(one.command.endswith(f"/workloads/{workload}") for one in home.processes("supervisor"))


# -- the example


def test_the_flask_example_comes_up_and_its_curl_line_answers(shared_home: Home) -> None:
    out = shared_home.ok("up", EXAMPLES / "flask-app")
    url = shared_home.url("flask-app")
    assert post(f"{url}/predict", {"input": [1, 2, 3]}).json() == {"output": [3, 5, 7]}
    assert post(f"{url}/predict", {"input": ["one"]}).status == 400, "the application's own answer"
    line = next(one for one in out.splitlines() if one.startswith("try it")).removeprefix("try it").strip()
    pasted = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "POST /predict" in pasted.stdout
    answer = shared_home.ok("predict", "flask-app", "-d", '{"input": [1, 2, 3]}')
    assert json.loads(answer) == {"output": [3, 5, 7]}


def test_an_edited_flask_app_takes_over_without_a_failed_request(shared_home: Home) -> None:
    project = Project(shared_home.projects / "edited-flask")
    project.folder.mkdir()
    for file in (EXAMPLES / "flask-app").iterdir():
        if file.is_file():
            project.write(file.name, file.read_text().replace("name: flask-app", "name: edited-flask"))
    shared_home.ok("up", project.folder)

    def right(answer: Any) -> bool:
        return answer in ({"output": [3]}, {"output": [4]})

    with Load(f"{shared_home.url('edited-flask')}/predict", {"input": [1]}, right) as load:
        load.more(40)
        project.edit("app.py", "2 * one + 1", "2 * one + 2")
        out = shared_home.ok("up", project.folder)
        load.more(40)
    assert load.bad == []
    assert len(load.good) == 2
    assert "edited-flask-00002" in out


# -- objects in and out


def test_apply_does_not_wait_and_delete_ends_the_processes(shared_home: Home) -> None:
    project = server(shared_home, "applied")
    out = shared_home.ok("apply", "-f", project.folder)
    assert "ModelService/applied created" in out
    url = eventually(lambda: shared_home.json("get", "service", "applied")["status"].get("url"), what="its URL")
    assert post(f"{url}/x", {"input": 1}).json()["path"] == "/x"
    assert shared_home.json("apply", "-f", project.folder / "shipway.yaml")[0]["result"] == "unchanged"

    assert supervised(shared_home, "applied-00001")
    assert "ModelService/applied deleted" in shared_home.ok("delete", "service", "applied")
    eventually(lambda: not supervised(shared_home, "applied-00001"), what="the end of its supervisor")
    assert "applied" not in names(shared_home, "services")
    eventually(lambda: request("POST", f"{url}/x", {"input": 1}).status == 404, what="no route")


def test_apply_from_stdin_and_delete_by_file(shared_home: Home) -> None:
    project = server(shared_home, "piped")
    text = (project.folder / "shipway.yaml").read_text()
    shared_home.ok("apply", "-f", "-", cwd=project.folder, stdin=text)
    assert "piped" in names(shared_home, "services")
    [gone] = shared_home.json("delete", "-f", project.folder)
    assert gone == {"kind": "ModelService", "name": "piped", "result": "deleted"}
    eventually(lambda: shared_home.ok("delete", "-f", project.folder) == "nothing to delete\n")


def test_down_of_one_folder_leaves_the_others_alone(shared_home: Home) -> None:
    one, two = server(shared_home, "down-one"), server(shared_home, "down-two")
    shared_home.ok("up", one.folder)
    shared_home.ok("up", two.folder)
    with Load(f"{shared_home.url('down-two')}/", {"input": 1}, lambda answer: answer["output"] == 1, threads=2) as load:
        load.more(20)
        assert "ModelService/down-one is down" in shared_home.ok("down", one.folder)
        load.more(20)
    assert load.bad == []
    assert "down-one" not in names(shared_home, "services")
    assert not (shared_home.path / "workloads" / "down-one-00001").exists()
    assert "nothing was up" in shared_home.ok("down", one.folder)


def test_logs_show_both_streams_and_follow(shared_home: Home) -> None:
    project = server(shared_home, "talks")
    shared_home.ok("up", project.folder)
    logs = shared_home.ok("logs", "talks")
    assert "listening on" in logs and "to stderr" in logs
    assert len(shared_home.ok("logs", "service/talks", "--tail", "1").splitlines()) == 1
    url = shared_home.url("talks")
    with shared_home.start("logs", "-f", "talks", "--tail", "0") as follower:
        # Requests all the while: nobody tells when the follower has begun to listen.
        with Load(f"{url}/written-now", {"input": 1}, lambda answer: answer["output"] == 1, threads=1):
            assert follower.stdout is not None
            line = follower.stdout.readline()
        follower.terminate()
        follower.communicate(timeout=10)
    assert "POST /written-now" in line


# -- the hub


def test_the_hub_stops_and_comes_back_and_the_service_does_not_notice(shared_home: Home) -> None:
    project = server(shared_home, "outlives")
    shared_home.ok("up", project.folder)
    url, first = shared_home.url("outlives"), shared_home.hub_pid()
    with Load(f"{url}/", {"input": 1}, lambda answer: answer["output"] == 1, threads=4) as load:
        load.more(40)
        assert "stopped" in shared_home.ok("hub", "stop")
        assert shared_home.processes("hub") == []
        assert shared_home.shipway("hub", "status").returncode == 5
        assert "no hub runs" in shared_home.ok("hub", "stop")
        load.more(40)
        status = shared_home.json("hub", "start")
        assert status["pid"] != first
        assert shared_home.json("hub", "start")["pid"] == status["pid"], "one that runs is left alone"
        again = shared_home.ok("up", project.folder)
        load.more(40)
    assert load.bad == []
    assert "up to date" in again
    assert str(status["pid"]) in shared_home.ok("hub", "status")


# -- secrets


def test_a_secret_reaches_the_process_and_nothing_else(shared_home: Home) -> None:
    value = "s3cr3t-OF-THIS-TEST"
    out = shared_home.ok("secret", "set", "registry", "TOKEN", stdin=f"{value}\n")
    assert value not in out
    env = "  env: {TOKEN: {secret: {name: registry, key: TOKEN}}}\n"
    project = server(shared_home, "keeps", YAML + env)
    shown = told(shared_home.shipway("up", project.folder))
    assert post(f"{shared_home.url('keeps')}/", {"input": 1}).json()["token"] == value

    shown += shared_home.ok("get", "service", "keeps", "-o", "yaml") + shared_home.ok("get", "revisions", "-o", "yaml")
    shown += shared_home.ok("logs", "keeps") + shared_home.ok("secret", "list") + shared_home.ok("status", "-o", "json")
    assert value not in shown
    assert value not in " ".join(process.command for process in shared_home.processes())
    holders = [one for one in shared_home.path.rglob("*") if one.is_file() and value.encode() in one.read_bytes()]
    assert len(holders) == 1 and holders[0].is_relative_to(shared_home.path / "secrets"), holders
    assert holders[0].stat().st_mode & 0o777 == 0o600
    assert shared_home.json("secret", "list") == {"registry": ["TOKEN"]}

    empty = shared_home.shipway("secret", "set", "registry", "TOKEN")
    assert empty.returncode == 2 and "stdin is empty" in empty.stderr
    shared_home.ok("secret", "delete", "registry")
    assert shared_home.json("secret", "list") == {}


# -- the shell


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(home: Home, shell: str) -> None:
    script = home.ok("completion", shell)
    assert "_SHIPWAY_COMPLETE" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        variables = home.variables(
            {"_SHIPWAY_COMPLETE": "bash_complete", "COMP_WORDS": "shipway pre", "COMP_CWORD": "1"}
        )
        done = subprocess.run([SHIPWAY], env=variables, capture_output=True, text=True, check=True)
        assert "predict" in done.stdout


def test_version_and_help_need_no_hub(home: Home) -> None:
    assert home.ok("--version").split()[0] == "shipway"
    help = home.ok("--help")
    for command in ("init", "up", "down", "apply", "delete", "get", "status", "jobs", "models", "services", "logs"):
        assert f"  {command} " in help
    for command in ("predict", "hub", "secret", "completion"):
        assert "Usage: shipway" in home.ok(command, "--help")
    assert not home.path.exists(), "nothing was made"


def test_a_reader_that_goes_away_is_no_error(shared_home: Home) -> None:
    shared_home.ok("hub", "start")
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {SHIPWAY} get clusters -o json | head -c 1"],
        env=shared_home.variables(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr and done.returncode in (0, 141)


def test_no_colour_goes_into_a_pipe(shared_home: Home) -> None:
    for command in (["status"], ["services"], ["--help"]):
        assert "\x1b" not in told(shared_home.shipway(*command, env={"FORCE_COLOR": ""}))


def test_the_readme_of_the_examples_says_what_is_true() -> None:
    text = (EXAMPLES / "flask-app" / "README.md").read_text()
    assert '{"output": [3, 5, 7]}' in text
    assert Path(EXAMPLES / "flask-app" / "shipway.yaml").read_text().count("\n") <= 12
