"""A home of Shipway for one test or one module: its commands, its processes, its ports, and load on its services."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHIPWAY = Path(sys.executable).parent / "shipway"

_LISTEN = "0A"  # proc(5), /proc/net/tcp: the state of a listening socket
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as /proc shows it. ``command`` is its command line, words joined by spaces."""

    pid: int
    command: str

    @property
    def role(self) -> str:
        """hub, supervisor, envoy, cli, worker (of a replica), or replica: whatever the user's own is."""
        for word, role in (
            ("-m shipway.runtime.server.engine.processes.worker", "worker"),
            ("-m shipway.app", "hub"),
            ("supervisor/__main__.py", "supervisor"),
            ("/envoy ", "envoy"),
            ("bin/shipway ", "cli"),
        ):
            if word in f"{self.command} ":
                return role
        return "replica"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Home:
    """A folder as SHIPWAY_HOME, and ``projects`` beside it as room for projects."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)  # beyond what this process has
    prefix: tuple[str, ...] = ()  # what makes a command run as somebody else

    @property
    def projects(self) -> Path:
        return self.path.parent / "projects"

    def shipway(
        self,
        *arguments: str | Path,
        cwd: Path = ROOT,
        timeout: float = 60.0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command to its end, as a program that captures its output does."""
        return subprocess.run(
            [*self.prefix, SHIPWAY, *arguments],
            cwd=cwd,
            env=self.variables(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *arguments: str | Path, cwd: Path = ROOT, timeout: float = 60.0, stdin: str = "") -> str:
        """The same, for a command that must end with 0; its stdout."""
        done = self.shipway(*arguments, cwd=cwd, timeout=timeout, stdin=stdin)
        assert done.returncode == 0, f"shipway {' '.join(map(str, arguments))}: {done.returncode}\n{told(done)}"
        return done.stdout

    def json(self, *arguments: str | Path, cwd: Path = ROOT, timeout: float = 60.0) -> Any:
        """The one document that ``-o json`` prints, of a command that must end with 0."""
        return json.loads(self.ok(*arguments, "-o", "json", cwd=cwd, timeout=timeout))

    def start(self, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.Popen[str]:
        """Begin a command, and leave it running; its output is in its pipes."""
        return subprocess.Popen(
            [*self.prefix, SHIPWAY, *arguments],
            cwd=cwd,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a command of this home."""
        return {**os.environ, **self.environment, **(more or {}), "SHIPWAY_HOME": str(self.path)}

    def url(self, service: str) -> str:
        """Where a service answers."""
        return str(self.json("get", "service", service)["status"]["url"])

    def hub_pid(self) -> int:
        """The process that answers on the home's socket. Fails when there is none."""
        return int(self.json("hub", "status")["pid"])

    def processes(self, *roles: str) -> list[Process]:
        """Every process of this home (of these roles), with the home in its environment, command or directory."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            if int(folder.name) != os.getpid() and (command := self._command(folder)):
                process = Process(int(folder.name), command)
                if not roles or process.role in roles:
                    found.append(process)
        return sorted(found, key=lambda one: one.pid)

    def _command(self, folder: Path) -> str:
        """The command line of a process of this home; empty for others, and for those that ended meanwhile."""
        needle = os.fsencode(self.path)
        try:
            command = (folder / "cmdline").read_bytes()  # a zombie has none
            places = (command, (folder / "environ").read_bytes(), os.fsencode((folder / "cwd").readlink()))
        except OSError:
            return ""
        mine = command and any(needle in one for one in places)
        return command.replace(b"\0", b" ").decode(errors="replace").strip() if mine else ""

    def listening(self) -> list[tuple[str, int]]:
        """Address and port of every TCP socket on which a process of this home listens."""
        inodes = {inode for process in self.processes() for inode in _sockets(process.pid)}
        found = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and fields[9] in inodes:
                    address, _, port = fields[1].rpartition(":")
                    found.add((_address(address), int(port, 16)))
        return sorted(found)

    def end(self) -> list[Process]:
        """``down --all``, ``hub stop``; what runs all the same, which is killed."""
        for command in (("down", "--all"), ("hub", "stop")):
            self.shipway(*command)
        left = until(lambda: not self.processes(), self.processes, seconds=3.0)
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return left


@contextmanager
def fresh_home(prefix: tuple[str, ...] = (), **environment: str) -> Iterator[Home]:
    """An empty home with a short path; at its end every process of it must be gone after ``down`` and ``hub stop``."""
    folder = Path(tempfile.mkdtemp(prefix="shw-", dir="/tmp"))
    home = Home(folder / "home", environment, prefix)
    home.projects.mkdir()
    failed = True
    try:
        yield home
        failed = False
    finally:
        left = home.end() if home.path.exists() else []
        shutil.rmtree(folder, ignore_errors=True)
    if not failed:
        assert not left, "left behind:\n" + "\n".join(f"{one.pid} {one.command}" for one in left)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Everything that a command printed."""
    return f"{done.stdout}{done.stderr}"


def eventually(look: Callable[[], _Found], *, seconds: float = 30.0, what: str = "") -> _Found:
    """The first true value of ``look``. Fails when none came in time."""
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what or look}"
        time.sleep(0.02)
    return found


def until(done: Callable[[], bool], then: Callable[[], _Found], *, seconds: float) -> _Found:
    """Wait for ``done``, at most so long; then what ``then`` says."""
    give_up = time.monotonic() + seconds
    while not done() and time.monotonic() < give_up:
        time.sleep(0.05)
    return then()


def request(method: str, url: str, body: bytes | str | object | None = None, timeout: float = 10.0) -> Answer:
    """One HTTP request; a body that is neither text nor bytes is sent as JSON. Raises OSError when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path or "/", _bytes(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode())
    finally:
        connection.close()


def post(url: str, body: object) -> Answer:
    """POST it as JSON."""
    return request("POST", url, body)


def _bytes(body: bytes | str | object | None) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _sockets(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                kind, _, rest = str(link.readlink()).partition(":[")
                if kind == "socket":
                    found.add(rest.rstrip("]"))
    return found


def _address(hexadecimal: str) -> str:
    """``127.0.0.1`` of ``0100007F``; an IPv6 address stays as it is."""
    return ".".join(str(one) for one in reversed(bytes.fromhex(hexadecimal))) if len(hexadecimal) == 8 else hexadecimal


class Load:
    """Keep-alive clients that POST one body to one URL until the block ends; every answer is looked at.

    ``good`` counts answers that ``check`` takes; ``bad`` holds a line for every other one: a wrong status, a wrong
    body, a connection that broke (also one that the server closed between two requests: the body was not sent twice).
    """

    def __init__(self, url: str, body: object, check: Callable[[Any], bool], threads: int = 8) -> None:
        self.statuses: Counter[int] = Counter()
        self.good: Counter[str] = Counter()  # by text of the answer
        self.bad: list[str] = []
        self._url = urlsplit(url)
        self._body = _bytes(body)
        self._check = check
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15.0)

    @property
    def count(self) -> int:
        """Requests so far."""
        with self._lock:
            return self.good.total() + len(self.bad)

    def more(self, requests: int = 100) -> None:
        """Wait until so many further requests were answered."""
        goal = self.count + requests
        eventually(lambda: self.count >= goal, seconds=30.0, what=f"{requests} more answers")

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=10.0)
        while not self._stop.is_set():
            try:
                connection.request("POST", self._url.path, self._body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                self._count(response.status, response.read().decode())
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.bad.append(f"{type(error).__name__}: {error}")
            self._stop.wait(0.002)  # eight threads of a test leave a core to the server
        connection.close()

    def _count(self, status: int, text: str) -> None:
        try:
            good = status == 200 and self._check(json.loads(text))
        except ValueError:
            good = False
        with self._lock:
            self.statuses[status] += 1
            if good:
                self.good[text] += 1
            else:
                self.bad.append(f"{status}: {text[:200]}")


TRAIN = """
import json
from shipway import log_metrics, output_dir, params

slope = params(slope=2)["slope"]
print("learned the slope", slope)
log_metrics(accuracy=0.95)
(output_dir() / "model.json").write_text(json.dumps({"slope": slope}))
"""

PREDICTOR = """
import json
from shipway import Predictor
from shipway.runtime.signature import Signature, Tensor


class Line(Predictor):
    signature = Signature(inputs=(Tensor("x", "FP64", (-1, 1)),))

    def load(self, model_dir):
        self.slope = json.loads((model_dir / "model.json").read_text())["slope"]

    def predict(self, x):
        return {"y": x[:, 0] * self.slope}
"""

YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: NAME}
spec:
  command: [python, train.py]
  params: {slope: 2}
  model: NAME
  evaluate: {metric: accuracy, min: 0.9}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: NAME}
spec:
  model: NAME
  predictor: predictor.py:Line
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a shipway.yaml. ``line`` makes one that trains in a moment and answers y = slope * x."""

    folder: Path

    @classmethod
    def line(cls, parent: Path, name: str = "line", **files: str) -> Project:
        """The tiny project: train.py, predictor.py, shipway.yaml; ``files`` replace or add ``train_py="..."``."""
        texts = {"train_py": TRAIN, "predictor_py": PREDICTOR, "shipway_yaml": YAML, **files}
        return cls.of(parent / name, **{key: text.replace("NAME", name) for key, text in texts.items()})

    @classmethod
    def of(cls, folder: Path, **files: str) -> Project:
        """A folder with these files: ``app_py="..."`` is app.py."""
        folder.mkdir(parents=True, exist_ok=True)
        for key, text in files.items():
            stem, _, suffix = key.rpartition("_")
            (folder / f"{stem}.{suffix}").write_text(text.lstrip("\n"))
        return cls(folder)

    @property
    def name(self) -> str:
        return self.folder.name

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text of a file, which must be there once."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new))

    def write(self, file: str, text: str) -> None:
        """Write a file anew."""
        (self.folder / file).write_text(text.lstrip("\n"))
