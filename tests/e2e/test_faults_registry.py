"""Pushes and pulls that are killed, registries that are killed, a disk that is full, and many at once."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipway.errors import EnvironmentFault
from shipway.oci import Layout
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous
from shipway.testing.registry import FakeRegistry, Hang
from shipway.transfer import Progress
from tests.e2e.registry_child import TAG
from tests.oci.registry.faulty import REPOSITORY, Artifact, artifact, nothing_is_wrong, pull, reference
from tests.testing.docker_registry import DockerRegistry, docker_registry

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(180)]

MIB = 1 << 20
ROOT = Path(__file__).parents[2]
SMALL = (100, 200_000, MIB)
LARGE = 24 * MIB  # bytes of the last layer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    one = artifact(tmp_path_factory.mktemp("made"), (*SMALL, LARGE))
    one.layout.tag(one.root, TAG)
    return one


@contextmanager
def child(what: str, host: str, layout: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that pulls or pushes; killed at the end of the block when it still runs."""
    command = [sys.executable, "-m", "tests.e2e.registry_child", what, f"{host}/{REPOSITORY}:1", str(layout)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def killed_at(process: subprocess.Popen[str], size: int) -> None:
    """kill -9 as soon as it says that so many bytes are done."""
    assert process.stdout
    for line in process.stdout:
        assert line.strip().isdigit(), line
        if int(line) >= size:
            process.kill()
            assert process.wait() == -9
            return
    pytest.fail("it ended before")


def ended(what: str, host: str, layout: Path) -> None:
    """The same once more, to its end."""
    with child(what, host, layout) as process:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and said.endswith("ended\n"), said


def is_whole(folder: Path, made: Artifact) -> None:
    layout = Layout(folder)
    assert layout.resolve(TAG).digest == made.root.digest
    assert made.is_in(layout)
    for blob in (folder / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_a_pull_that_is_killed_goes_on_where_it_was(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        large = f"*/blobs/{made.layers[-1].digest}"
        trap = registry.fail(Hang(after=20 * MIB), path=large)
        with child("pull", registry.host, tmp_path) as process:
            killed_at(process, 16 * MIB)
        nothing_is_wrong(Layout(tmp_path))
        trap.lift()
        registry.forget()
        ended("pull", registry.host, tmp_path)
        is_whole(tmp_path, made)
        assert registry.requests("GET", large).sent <= LARGE - 16 * MIB, "it began anew"


def test_a_pull_that_is_killed_again_and_again(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        for part in (4, 8, 12, 16, 20):
            trap = registry.fail(Hang(after=5 * MIB), path=f"*/blobs/{made.layers[-1].digest}")
            with child("pull", registry.host, tmp_path) as process:
                killed_at(process, part * MIB)
            nothing_is_wrong(Layout(tmp_path))
            trap.lift()
        ended("pull", registry.host, tmp_path)
        is_whole(tmp_path, made)
        assert registry.requests("GET", "*/blobs/*").sent < LARGE + sum(SMALL) * 5 + 10 * MIB


def test_a_push_that_is_killed_sends_nothing_twice(made: Artifact) -> None:
    with FakeRegistry() as registry:
        trap = registry.fail(Hang(after=10 * MIB, of="request"), method="PATCH")
        with child("push", registry.host, made.layout.root) as process:
            trap.wait()
            small = {one.digest for one in made.layers[:-1]}
            registry.wait(lambda: small <= registry.blobs(REPOSITORY))
            process.kill()
            process.wait()
        assert registry.tags(REPOSITORY) == {}
        trap.lift()
        registry.forget()
        ended("push", registry.host, made.layout.root)
        assert made.is_at(registry)
        assert registry.requests("P*", "*/blobs/*").received == LARGE, "what was there was sent again"


def test_ten_processes_fetch_each_blob_once(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        trap = registry.fail(Hang(), method="GET", path="*/blobs/*")
        children = [child("pull", registry.host, tmp_path) for _ in range(10)]
        running = [one.__enter__() for one in children]
        try:
            tagged = "*/manifests/1"
            registry.wait(lambda: len(registry.requests("GET", tagged)) >= len(running), timeout=120.0)
            trap.lift()
            for process in running:
                said, _ = process.communicate(timeout=120)
                assert process.returncode == 0, said
        finally:
            for one in children:
                one.__exit__(None, None, None)
        is_whole(tmp_path, made)
        assert registry.requests("GET", "*/blobs/*").sent == sum(one.size for one in made.layers)


def test_who_waits_goes_on_when_the_one_that_fetches_is_killed(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry() as registry:
        made.into(registry)
        large = f"*/blobs/{made.layers[-1].digest}"
        trap = registry.fail(Hang(after=20 * MIB), path=large, times=1)
        with child("pull", registry.host, tmp_path) as first:
            trap.wait()
            with child("pull", registry.host, tmp_path) as second:
                registry.wait(lambda: len(registry.requests("GET", "*/manifests/1")) >= 2)
                killed_at(first, 16 * MIB)
                said, _ = second.communicate(timeout=120)
                assert second.returncode == 0, said
        is_whole(tmp_path, made)
        assert registry.requests("GET", large).sent <= 20 * MIB + LARGE - 16 * MIB


def test_two_processes_push_one_tag(made: Artifact, tmp_path: Path) -> None:
    other = artifact(tmp_path, (100, 2 * MIB), seed=9)
    other.layout.tag(other.root, TAG)
    with FakeRegistry() as registry, child("push", registry.host, made.layout.root) as first:
        with child("push", registry.host, other.layout.root) as second:
            for process in (first, second):
                said, _ = process.communicate(timeout=120)
                assert process.returncode == 0, said
        assert made.is_at(registry) != other.is_at(registry)


def when(size: int, what: Callable[[], object]) -> tuple[Callable[[Progress], None], threading.Thread]:
    """A listener, and a thread that does something once when so many bytes of one part are done."""
    reached = threading.Event()
    acting = threading.Thread(target=lambda: reached.wait(60) and what())
    acting.start()
    return lambda progress: reached.set() if progress.done >= size else None, acting


def restarted(registry: DockerRegistry) -> None:
    registry.kill()
    registry.start()


@pytest.mark.realtool
@pytest.mark.parametrize("rounds", range(2))
def test_a_registry_that_is_killed_while_we_push_and_pull(rounds: int, made: Artifact, tmp_path: Path) -> None:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as registry:

        async def work() -> None:
            layout = Layout(tmp_path / "oci")
            async with Registry(Anonymous()) as asking:
                listen, acting = when((4 + 8 * rounds) * MIB, lambda: restarted(registry))
                await asking.push(made.layout, made.root, reference(registry.host), listen)
                acting.join()
                listen, acting = when((4 + 8 * rounds) * MIB, lambda: restarted(registry))
                with layout.lease("test") as lease:
                    await asking.pull(reference(registry.host), layout, lease, listen)
                acting.join()
            assert made.is_in(layout)

        asyncio.run(work())


@contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A small disk; what it gives makes it so many megabytes large. Skips (in CI: fails) where nobody may mount one."""
    folder.mkdir()
    options = f"size={megabytes}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"only root can mount a small disk: {mounted.stderr.strip()}")

    def grow(to: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to}m", str(folder)], check=True)

    try:
        yield grow
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry() as registry, tmpfs(tmp_path / "small", 16) as grow:
        made.into(registry)
        layout = Layout(tmp_path / "small" / "oci")
        for _ in range(2):
            with pytest.raises(EnvironmentFault, match=r"is full|No space left") as full:
                asyncio.run(pull(registry, layout))
            assert full.value.next_step
            nothing_is_wrong(layout)
        registry.forget()
        grow(64)
        assert asyncio.run(pull(registry, layout)) == made.root
        assert made.is_in(layout)
        nothing_is_wrong(layout)
        assert registry.requests("GET", "*/blobs/*").sent < LARGE, "it began anew"
