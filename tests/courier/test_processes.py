"""Launcher and courier as the processes that run in a Pod, and Debian's docker-registry: killed, stopped, restarted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.testing.docker_registry import DockerRegistry, docker_registry

pytestmark = [pytest.mark.realtool, pytest.mark.thorough, pytest.mark.timeout(240)]

SHIPWAY = (sys.executable, "-m", "shipway.cli.main", "courier")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as running:
        yield running


class Pod:
    """The folder that its containers share, and their processes."""

    def __init__(self, folder: Path, registry: DockerRegistry) -> None:
        self.shared = folder / "shipway"
        self.message = folder / "termination-log"
        self.to = f"{registry.host}/team/outputs:digits-1"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SSL_CERT_FILE": os.devnull}
        folder.mkdir()
        self.message.touch()
        (folder / "tmp").mkdir()

    def bring(self, *items: str) -> None:
        words = [word for one in items for word in ("--item", one)]
        subprocess.run(
            [*SHIPWAY, "pull", "--state", f"{self.shared}/state", "--launcher", f"{self.shared}/run/launch.py", *words],
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def sidecar(self) -> subprocess.Popen[str]:
        words = ["--socket", f"{self.shared}/run/courier.sock", "--folder", f"{self.shared}/output", "--to", self.to]
        return subprocess.Popen([*SHIPWAY, "push", *words], env=self.environment, text=True, stderr=subprocess.PIPE)

    def main(self, script: str) -> subprocess.Popen[str]:
        options = ["--socket", f"{self.shared}/run/courier.sock", "--message", str(self.message)]
        return subprocess.Popen(
            [sys.executable, f"{self.shared}/run/launch.py", *options, "--", sys.executable, "-c", script],
            env={**self.environment, "SHIPWAY_OUTPUT_DIR": str(self.shared / "output")},
            text=True,
            stderr=subprocess.PIPE,
        )

    def told(self) -> dict[str, object]:
        return dict(json.loads(self.message.read_text()))


@pytest.fixture
def pod(tmp_path: Path, registry: DockerRegistry) -> Pod:
    made = Pod(tmp_path / "pod", registry)
    made.bring()
    return made


def large(size: int) -> str:
    """A command that leaves noise."""
    return f"""
import os, random
from pathlib import Path
out = Path(os.environ["SHIPWAY_OUTPUT_DIR"])
(out / "weights.bin").write_bytes(random.Random(1).randbytes({size}))
(out / "config.json").write_text("{{}}")
"""


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def until_some_arrived(registry: DockerRegistry, size: int) -> None:
    """Some of a blob is in the registry's own folder of uploads."""
    give_up = time.monotonic() + 60
    while size_of_blobs(registry.folder) < size:
        assert time.monotonic() < give_up
        time.sleep(0.005)


def size_of_blobs(folder: Path) -> int:
    """Bytes of them. The registry moves uploads away meanwhile, which os.walk passes over and a glob does not."""
    total = 0
    for parent, _, names in os.walk(folder):
        if "data" in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / "data").stat().st_size
    return total


def brought_back(pod: Pod, folder: Path) -> dict[str, int]:
    output = pod.told()["output"]
    pod.bring(f"{output}={folder}")
    return {one.relative_to(folder).as_posix(): one.stat().st_size for one in folder.rglob("*") if one.is_file()}


def test_there_and_back(pod: Pod, tmp_path: Path) -> None:
    with running(pod.sidecar()) as courier:
        with running(pod.main(large(5_000_000))) as main:
            assert main.wait(60) == 0
        courier.send_signal(signal.SIGTERM)
        assert courier.wait(30) == 0
    assert brought_back(pod, tmp_path / "back") == {"weights.bin": 5_000_000, "config.json": 2}


def test_a_courier_that_is_killed_while_it_pushes_and_comes_back(
    pod: Pod, registry: DockerRegistry, tmp_path: Path
) -> None:
    with running(pod.main(large(200_000_000))) as main:
        for _ in range(2):
            with running(pod.sidecar()) as courier:
                until_some_arrived(registry, 5_000_000)
                courier.kill()
        with running(pod.sidecar()):
            assert main.wait(120) == 0
    assert brought_back(pod, tmp_path / "back") == {"weights.bin": 200_000_000, "config.json": 2}


def test_told_to_end_while_it_pushes(pod: Pod, registry: DockerRegistry, tmp_path: Path) -> None:
    """As kubelet does when the Pod is deleted: both get SIGTERM; what was made is not lost within the grace period."""
    with running(pod.sidecar()) as courier, running(pod.main(large(100_000_000))) as main:
        until_some_arrived(registry, 1_000_000)
        main.send_signal(signal.SIGTERM)
        courier.send_signal(signal.SIGTERM)
        assert (main.wait(120), courier.wait(60)) == (0, 0)
    assert brought_back(pod, tmp_path / "back")["weights.bin"] == 100_000_000


def test_a_registry_that_is_killed_and_comes_back(pod: Pod, registry: DockerRegistry, tmp_path: Path) -> None:
    with running(pod.sidecar()), running(pod.main(large(200_000_000))) as main:
        until_some_arrived(registry, 5_000_000)
        registry.kill()
        time.sleep(1)
        registry.start()
        assert main.wait(120) == 0
    assert brought_back(pod, tmp_path / "back")["weights.bin"] == 200_000_000


def test_many_files(pod: Pod, tmp_path: Path) -> None:
    script = """
import os
from pathlib import Path
out = Path(os.environ["SHIPWAY_OUTPUT_DIR"])
for one in range(20_000):
    folder = out / str(one % 50)
    folder.mkdir(exist_ok=True)
    (folder / f"{one}.bin").write_bytes(b"%d" % one)
"""
    with running(pod.sidecar()), running(pod.main(script)) as main:
        assert main.wait(120) == 0
    assert len(brought_back(pod, tmp_path / "back")) == 20_000


def test_no_file_of_the_home_is_needed(pod: Pod) -> None:
    """The root of a courier's container is read-only: it writes nowhere but where it is told."""
    with running(pod.sidecar()), running(pod.main(large(1000))) as main:
        assert main.wait(60) == 0
    assert {one.name for one in pod.message.parent.iterdir()} == {"shipway", "termination-log", "tmp"}
