"""One secret, used by a job and a service that train, serve, fail and are killed: then it is looked for everywhere."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.client import HubClient
from tests.e2e.home import Home, Process, Project, eventually, fresh_home, request, told

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.thorough]

CANARY = "canary-8d1f3c77b0"  # never in an argument of a command: test processes have those too

TRAIN = """
import json, os, sys
from shipway import log_metrics, output_dir
assert len(os.environ["TOKEN"]) == 17, "the job has its secret"
print("arguments", *sys.argv[1:])
log_metrics(accuracy=0.95)
(output_dir() / "model.json").write_text(json.dumps({"slope": 2}))
"""

FAILS = """
import os
raise SystemExit(len(os.environ["TOKEN"]))
"""

SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = str(len(os.environ["TOKEN"])).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: line}
spec:
  command: [python, train.py, "$(TOKEN)"]
  env: {TOKEN: {secret: {name: mine, key: TOKEN}}}
  model: line
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: web}
spec:
  command: [python, server.py]
  env: {TOKEN: {secret: {name: mine, key: TOKEN}}}
"""

FAILING = YAML.split("---")[0].replace("name: line}", "name: fails}").replace("train.py", "fails.py")


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with fresh_home() as one:
        one.ok("secret", "set", "mine", "TOKEN", stdin=CANARY)
        Project.of(one.projects / "p", train_py=TRAIN, fails_py=FAILS, server_py=SERVER, shipway_yaml=YAML)
        one.ok("up", one.projects / "p", timeout=120)
        failing = Project.of(one.projects / "f", fails_py=FAILS, shipway_yaml=FAILING.replace("  model: line\n", ""))
        assert one.shipway("up", failing.folder).returncode == 1
        for role in ("replica", "supervisor", "hub"):
            (victim, *_) = [each for each in one.processes(role) if "envoy" not in each.command]
            os.kill(victim.pid, signal.SIGKILL)
            one.ok("hub", "start")
            eventually(lambda: request("GET", one.url("web")).text == "17", seconds=30)
        yield one


def holding(home: Home, what: str) -> dict[Process, str]:
    """The processes of the home that hold the canary in their environment or their command line."""
    found = {}
    for process in home.processes():
        try:
            if CANARY.encode() in Path(f"/proc/{process.pid}/{what}").read_bytes():
                found[process] = what
        except FileNotFoundError:
            continue
    return found


def test_it_lies_in_one_file_that_only_its_owner_can_read(home: Home) -> None:
    files = [one for one in home.path.rglob("*") if one.is_file() and not one.is_symlink()]
    assert len(files) > 50
    holders = [one for one in files if CANARY.encode() in one.read_bytes()]
    assert holders == [home.path / "secrets" / "mine" / "TOKEN"]
    assert stat.S_IMODE(holders[0].stat().st_mode) == 0o600


def test_only_the_workload_itself_has_it_in_its_environment(home: Home) -> None:
    assert holding(home, "cmdline") == {}
    holders = holding(home, "environ")
    assert [one.role for one in holders] == ["replica"]
    assert all("server.py" in one.command for one in holders)


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "status -o json",
        "get jobs -o yaml",
        "get services -o json",
        "get revisions -o json",
        "get routes -o json",
        "logs job/line",
        "logs service/web",
        "logs job/fails",
        "models show line",
        "secret list",
        "secret list -o json",
        "why job/line",
        "why job/fails -o json",
        "why service/web -o json",
        "events",
        "events -o json",
        "doctor",
        "doctor -o json",
        "hub status -o json",
    ],
)
def test_no_command_shows_it(home: Home, command: str) -> None:
    assert CANARY not in told(home.shipway(*command.split(), timeout=60))


def test_no_answer_of_the_hub_shows_it(home: Home) -> None:
    client = HubClient(next(home.path.rglob("hub.sock")), timeout=10)
    for path in ("/v1/status", "/v1/workloads", "/v1/journal", "/apis/shipway.dev/v1alpha1", "/healthz", "/v1/secrets"):
        assert CANARY not in str(client.get(path)), path


def test_the_files_of_a_home_are_their_owners_only(home: Home) -> None:
    # What uv installs are links to files of its own cache, which lies elsewhere and has its own modes.
    shared = home.path / "cache" / "environments"
    seen = [home.path, *(one for one in home.path.rglob("*") if not one.is_relative_to(shared))]
    open_to_others = {
        str(one.relative_to(home.path)): oct(stat.S_IMODE(one.lstat().st_mode))
        for one in seen
        if not one.is_symlink() and one.lstat().st_mode & 0o077
    }
    assert open_to_others == {}


def test_nothing_listens_elsewhere_than_on_loopback(home: Home) -> None:
    assert {address for address, _ in home.listening()} == {"127.0.0.1"}


NASTY = ("../../x", "/etc/passwd", "x:../../y", "x?watch=true#y", "a\nb", "ü", "")


@pytest.mark.parametrize("name", NASTY)
def test_no_name_on_the_command_line_leads_anywhere(home: Home, name: str) -> None:
    before = sorted(str(one) for one in home.path.parent.iterdir())
    for command in (
        ("get", "model", name),
        ("get", "service", name, "-o", "json"),
        ("delete", "job", name),
        ("logs", name),
        ("models", "show", name),
        ("models", "show", f"line:{name or '..'}"),  # "line:" alone is the whole model
        ("predict", name, "-d", "{}"),
        ("secret", "set", name, "KEY"),
        ("secret", "set", "mine", name),
        ("secret", "delete", name),
        ("secret", "delete", "mine", name),
    ):
        done = home.shipway(*command, stdin="x")
        assert done.returncode in (2, 3), (command, told(done))
        assert not re.search(r"Traceback|root:x:|PlatformError", told(done)), told(done)
    assert sorted(str(one) for one in home.path.parent.iterdir()) == before
    assert home.json("secret", "list") == {"mine": ["TOKEN"]}
