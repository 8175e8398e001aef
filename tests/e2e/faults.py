"""What the tests of faults share: projects that wait for the test, killing, and what must hold afterwards."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from shipway.client import HubClient
from shipway.errors import HubUnreachable
from shipway.settings import Settings
from tests.e2e.home import Home, Process, Project, eventually

# Notes its start in a file outside, so that a second start cannot hide, and ends when the test lets it.
TRAIN = """
import json, os, time
from pathlib import Path
from shipway import log_metrics, output_dir, params

told = params(slope=2, starts="", gate="", size=0, code=0)
with open(told["starts"], "a") as file:
    file.write(f"{os.environ['SHIPWAY_WORKLOAD']}\\n")
log_metrics(accuracy=0.95)
while not Path(told["gate"]).exists():
    time.sleep(0.01)
if told["code"]:
    raise SystemExit(told["code"])
(output_dir() / "weights.bin").write_bytes(os.urandom(1024) * (told["size"] // 1024))
(output_dir() / "model.json").write_text(json.dumps({"slope": told["slope"]}))
"""

TRAIN_YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: NAME}
spec:
  source: {files: [train.py]}
  command: [python, train.py]
  params: {slope: 2, starts: STARTS, gate: GATE, size: SIZE, code: 0}
  model: NAME
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec:
  source: {files: [predictor.py]}
  model: NAME
  predictor: predictor.py:Line
  replicas: 2
"""

# An answer leaves in one piece: what is killed between two pieces cannot be asked again elsewhere.
SERVER = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"edition": 1, "pid": os.getpid()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""

SERVER_YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec:
  command: [python, server.py]
  port: 8080
  replicas: 2
"""


class Trained:
    """A project whose training waits for :meth:`let_go`; ``starts`` are the workloads that began to train."""

    def __init__(self, home: Home, name: str = "line", size: int = 0) -> None:
        self._home = home
        self._starts, self._gate = home.projects / f"{name}.starts", home.projects / f"{name}.gate"
        places = {"STARTS": str(self._starts), "GATE": str(self._gate), "SIZE": str(size)}
        text = TRAIN_YAML
        for word, value in places.items():
            text = text.replace(word, value)
        self.project = Project.line(home.projects, name, train_py=TRAIN, shipway_yaml=text)
        self.name = name
        self.slope = 2

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def starts(self) -> list[str]:
        return self._starts.read_text().split() if self._starts.exists() else []

    def change(self) -> None:
        """Training has something new to do, and answers will tell."""
        self.project.edit("shipway.yaml", f"slope: {self.slope},", f"slope: {self.slope + 1},")
        self.slope += 1

    def let_go(self) -> None:
        self._gate.touch()

    def hold(self) -> None:
        self._gate.unlink()


def line_answers(text: Any) -> bool:
    """Whether it is one of a line's models that answered y = slope * 1."""
    return isinstance(text, dict) and isinstance(_first_number(text), int | float)


def _first_number(document: Any) -> Any:
    while isinstance(document, dict | list) and document:
        document = next(iter(document.values())) if isinstance(document, dict) else document[0]
    return document


def hub_of(home: Home, timeout: float = 10.0) -> HubClient:
    """A client that, unlike the commands, never starts a hub."""
    return HubClient(Settings(home.path).hub_socket, timeout=timeout)


def kill(process: int | Process, number: int = signal.SIGKILL) -> float:
    """Send the signal; the moment, of ``time.monotonic``."""
    os.kill(process if isinstance(process, int) else process.pid, number)
    return time.monotonic()


def the(home: Home, role: str) -> Process:
    """The one process of that role."""
    return _one(role, home.processes(role))


def _one(what: str, found: Iterable[Process]) -> Process:
    """Without its children: one that it has just forked looks like itself until it runs its own program."""
    by_pid = {one.pid: one for one in found}
    first = [one for one in by_pid.values() if _parent(one.pid) not in by_pid]
    assert len(first) == 1, f"{what}: {first}"
    return first[0]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill_hub(home: Home) -> float:
    """End the hub at once, and wait until the kernel has taken its lock and socket away."""
    hub = the(home, "hub")
    moment = kill(hub)
    eventually(lambda: hub not in home.processes("hub"), what="the hub is dead")
    return moment


def watched(home: Home, seen: Callable[[dict[str, Any]], bool], *, since: int) -> dict[str, Any]:
    """The first object, as changed after version ``since``, that ``seen`` takes. Fails when the hub ends before."""
    path = f"/apis/shipway.dev/v1alpha1?watch=true&since={since}&wait=30"
    for event, change in hub_of(home, timeout=30.0).stream(path):
        if event == "change" and seen(change["object"]):
            found: dict[str, Any] = change["object"]
            return found
    raise AssertionError("the watch ended, and what was waited for did not come")


def version_of(home: Home) -> int:
    """The store's version now."""
    return int(hub_of(home).get("/apis/shipway.dev/v1alpha1")["resourceVersion"])


def phase_is(kind: str, phase: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an object is of that kind and has that phase."""
    return lambda one: one["kind"] == kind and one["status"].get("phase") == phase


def entries(home: Home, subject: str, type_: str) -> list[dict[str, Any]]:
    """What the journal holds of it."""
    found: list[dict[str, Any]] = hub_of(home).get(f"/v1/journal?subject={subject}&type={type_}")["entries"]
    return found


def workload_status(home: Home, name: str) -> dict[str, Any]:
    """What the supervisor wrote down: there whether or not a hub lives."""
    document: dict[str, Any] = json.loads((home.path / "workloads" / name / "status.json").read_text())
    return document


def replica_pids(home: Home, name: str) -> list[int]:
    """The processes of its replicas that are ready, by index."""
    return [one["pid"] for one in workload_status(home, name)["replicas"] if one["phase"] == "Ready"]


def supervisor_of(home: Home, name: str) -> Process:
    """The supervisor of that workload."""
    ending = f"/workloads/{name}"
    return _one(name, [one for one in home.processes("supervisor") if one.command.endswith(ending)])


def whole(home: Home, service: str, replicas: int = 2) -> str:
    """Wait until the service and its gateway are as they should be, and nothing else is left; its revision."""
    hub = hub_of(home)

    def look() -> str:
        try:
            status = hub.get(f"/apis/shipway.dev/v1alpha1/modelservices/{service}")["status"]
            route = hub.get(f"/apis/shipway.dev/v1alpha1/routes/{service}")
        except HubUnreachable:
            return ""
        revision: str = status["readyRevision"]
        programmed = {one["type"]: one["status"] for one in route["status"]["conditions"]}.get("Programmed")
        settled = status["readyReplicas"] == replicas and status["latestRevision"] == revision
        return revision if settled and programmed == "True" and _alone(home, service, revision) else ""

    revision = eventually(look, seconds=20.0, what=f"{service} is whole")
    assert len(replica_pids(home, revision)) == replicas
    return revision


def _alone(home: Home, service: str, revision: str) -> bool:
    """Whether no other revision of the service has a supervisor; those of its jobs end by themselves."""
    folders = {one.command.rpartition("/")[2] for one in home.processes("supervisor")}
    return {one for one in folders if one.startswith(f"{service}-0")} == {revision}


def nothing_twice(home: Home, name: str, runs: int) -> None:
    """So many versions, each from a run of its own and whole on disk; every revision went live at most once."""
    versions = versions_of(home, name)
    assert [one["number"] for one in versions] == list(range(1, runs + 1))
    assert len({one["run"] for one in versions}) == runs
    for version in versions:
        detail = hub_of(home).get(f"/v1/models/{name}/versions/{version['number']}")
        assert detail["lineage"]["run"] == version["run"]
    live = [one["data"]["to"] for one in entries(home, f"ModelService/{name}", "ledger") if one["reason"] == "Live"]
    assert len(live) == len(set(live)), live
    champions = [one["data"]["to"] for one in entries(home, f"Model/{name}", "ledger")]
    assert champions == list(range(1, runs + 1)), champions
    for blob in (home.path / "oci" / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def versions_of(home: Home, name: str) -> list[dict[str, Any]]:
    """The versions of a model, oldest first."""
    found: list[dict[str, Any]] = hub_of(home).get(f"/apis/shipway.dev/v1alpha1/models/{name}")["status"]["versions"]
    return found


def own_server(home: Home, name: str = "own") -> Project:
    """A server of the user's own in two replicas; it answers ``{"edition", "pid"}``."""
    return Project.of(home.projects / name, server_py=SERVER, shipway_yaml=SERVER_YAML.replace("NAME", name))


def own_answers(text: Any) -> bool:
    """Whether an own server answered."""
    return isinstance(text, dict) and text["edition"] >= 1


@contextmanager
def command(home: Home, *arguments: str | Path) -> Iterator[Callable[[], str]]:
    """Begin a command; what is given waits for its end, which must be a good one, and says what it printed."""
    process = home.start(*arguments)

    def finish() -> str:
        out, error = process.communicate(timeout=60.0)
        assert process.returncode == 0, f"shipway {arguments}: {process.returncode}\n{out}\n{error}"
        return out

    try:
        yield finish
    finally:
        with process:  # closes its pipes
            process.kill()


class Connections:
    """Keep-alive clients that live through a gateway's end: each notes when its connection broke, and asks again.

    ``broken`` holds (client, moment) of connections that had served and then failed a request. ``away`` holds the
    moments when nobody could be asked: refused, or taken in by the backlog of a process that was dying.
    """

    def __init__(self, url: str, body: object, threads: int) -> None:
        self.broken: list[tuple[int, float]] = []
        self.away: list[float] = []
        self.wrong: list[str] = []
        self._answered = [0.0] * threads  # when each sent what was answered last
        self._url = urlsplit(url)
        self._body = json.dumps(body)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(one,), daemon=True) for one in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.answered(time.monotonic())
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15.0)

    def answered(self, moment: float) -> None:
        """Wait until every client has asked after that moment, and has an answer."""
        eventually(lambda: min(self._answered) > moment, seconds=15.0, what="all clients have answers")

    def outage(self, moment: float, over: Callable[[], bool]) -> float:
        """Wait until what was killed at that moment is back (``over``) and serves all; the seconds of the outage."""
        eventually(over, what="it is back")
        self.answered(time.monotonic())
        return max([0.0, *(when - moment for when in self.away if when > moment)])

    def _run(self, client: int) -> None:
        connection, served = self._connect(), False
        while not self._stop.is_set():
            asked = time.monotonic()
            try:
                connection.request("POST", self._url.path, self._body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                text = response.read()
                served = True
                if response.status == 200:
                    self._answered[client] = asked
                else:
                    self.wrong.append(f"{response.status}: {text[:100]!r}")
            except (OSError, http.client.HTTPException):
                if served:
                    self.broken.append((client, time.monotonic()))
                else:
                    self.away.append(time.monotonic())
                connection.close()
                connection, served = self._connect(), False
            self._stop.wait(0.002)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        """A new connection, as soon as somebody listens."""
        while True:
            connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=10.0)
            with suppress(OSError):
                connection.connect()
                return connection
            self.away.append(time.monotonic())
            if self._stop.wait(0.01):
                return connection
