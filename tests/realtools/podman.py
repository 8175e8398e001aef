"""podman in a sandbox: an image of a layout, run; what it answers, prints and ends with."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.realtools.sandbox import Sandbox

PATIENCE = 60.0  # seconds for a container to answer, on a machine where much else runs
PORT = 8080  # every container has a network of its own, but all of them share the sandbox's loopback device


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Podman:
    """podman, with a storage of its own."""

    sandbox: Sandbox

    def load(self, layout: Path, tag: str) -> str:
        """An image of a layout becomes one of podman's; its id, which is the digest of its config."""
        name = f"localhost/{tag.partition('@')[0].removeprefix('image/')}"
        source = f"oci:{layout}:{tag}"
        policy = str(self.sandbox.folder / "policy.json")
        # podman pull cannot read a tag with a slash in it.
        self.sandbox.run("skopeo", "--policy", policy, "copy", "--quiet", source, f"containers-storage:{name}")
        return str(self.inspect(name)["Id"])

    def inspect(self, name: str) -> Any:
        """What podman knows of an image."""
        return json.loads(self.sandbox.run("podman", "image", "inspect", name))[0]

    def once(self, image: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run a container to its end."""
        own = ("--rm", "--network=none", f"--cgroup-parent=/{self.sandbox.group}")
        return self.sandbox.ask("podman", "run", *own, *options, image, *words, timeout=PATIENCE)

    @contextmanager
    def running(
        self, image: str, *words: str, options: tuple[str, ...] = (), port: int = PORT, inside: int = 8080
    ) -> Iterator[Container]:
        """A container in the background, with its port ``inside`` published on ``port`` of the loopback device."""
        own = ("--detach", f"--publish=127.0.0.1:{port}:{inside}", f"--cgroup-parent=/{self.sandbox.group}")
        identity = self.sandbox.run("podman", "run", *own, *options, image, *words).strip()
        try:
            yield Container(self.sandbox, identity, port)
        finally:
            self.sandbox.run("podman", "rm", "--force", "--time=0", identity)


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs, or has run."""

    sandbox: Sandbox
    identity: str
    port: int

    def ask(self, method: str, path: str, document: object = None) -> Answer:
        """One request, with JSON when there is a document."""
        with closing(self.sandbox.connection(self.port)) as connection:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            said = connection.getresponse()
            return Answer(said.status, said.read())

    def answers(self, path: str = "/", ready: Callable[[Answer], bool] = lambda said: said.status == 200) -> Answer:
        """The first answer that says that it is ready."""
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                said = self.ask("GET", path)
                if ready(said):
                    return said
            except (OSError, http.client.HTTPException):
                # The port is open as soon as the container runs; who listens behind it comes later.
                said = Answer(0, b"")
            state = self.state
            if state["Status"] == "exited" or time.monotonic() > give_up:
                raise AssertionError(f"no answer: {said} {state}\n{self.logs()}")
            time.sleep(0.05)

    def stop(self, grace: int = 10) -> None:
        """As a node ends a pod: the image's stop signal, and SIGKILL after ``grace`` seconds."""
        self.sandbox.run("podman", "stop", f"--time={grace}", self.identity)

    def wait(self) -> int:
        """Its exit code, when it has ended."""
        return int(self.sandbox.run("podman", "wait", self.identity, timeout=PATIENCE))

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another process in it."""
        return self.sandbox.ask("podman", "exec", self.identity, *words)

    def until_logged(self, text: str) -> None:
        """When it has printed that."""
        give_up = time.monotonic() + PATIENCE
        while text not in self.logs():
            assert time.monotonic() < give_up, f"it never said {text!r}:\n{self.logs()}"
            time.sleep(0.05)

    def status(self) -> dict[str, str]:
        """What the kernel says of its first process (proc(5), status)."""
        lines = self.sandbox.run("cat", f"/proc/{self.state['Pid']}/status").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def logs(self) -> str:
        """What it printed, both streams."""
        done = self.sandbox.ask("podman", "logs", self.identity)
        return done.stdout + done.stderr

    @property
    def state(self) -> Any:
        return json.loads(self.sandbox.run("podman", "inspect", "--format", "{{json .State}}", self.identity))
