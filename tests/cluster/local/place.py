"""A home in a short folder, a LocalCluster on it, and proof that nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from shipway.bundle import Environment
from shipway.cluster.local import Interpreter, LocalCluster
from shipway.errors import NotFound


class Artifacts:
    """Folders by digest."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def materialise(self, digest: str) -> Path:
        try:
            return self.folders[digest]
        except KeyError:
            raise NotFound(f"there is no artifact {digest}") from None


class ThisPython:
    """Everything runs in the interpreter of the tests."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.seconds = 0.0

    def existing(self, environment: Environment) -> Interpreter | None:
        return None

    def build(self, environment: Environment) -> Interpreter:
        time.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        return Interpreter(Path(sys.executable), "the tests' own Python", ("/nowhere",))


@dataclass
class Place:
    """One home."""

    home: Path
    artifacts: Artifacts = field(default_factory=Artifacts)
    environments: ThisPython = field(default_factory=ThisPython)

    def folder(self, name: str) -> Path:
        return self.home / "workloads" / name

    def new_cluster(self) -> LocalCluster:
        return LocalCluster(
            root=self.home / "workloads",
            sockets=self.home / "run",
            artifacts=self.artifacts,
            environments=self.environments,
            secrets=self.home / "secrets",
            home_id=str(self.home),
            inherited={**os.environ, "AWS_SECRET_ACCESS_KEY": "leak", "LC_ALL": "C.UTF-8"},
        )

    @asynccontextmanager
    async def cluster(self) -> AsyncIterator[LocalCluster]:
        """Open until the end of the block; the workloads go on."""
        cluster = self.new_cluster()
        try:
            yield cluster
        finally:
            await cluster.close()

    async def clear(self) -> None:
        """Remove all workloads."""
        async with self.cluster() as cluster, asyncio.timeout(20):
            for one in await cluster.list():
                await cluster.delete(one.name)
            while await cluster.list():
                await asyncio.sleep(0.02)

    def processes(self) -> dict[int, str]:
        """Everything that runs with this home on its command line or in its environment."""
        found = {}
        needle = os.fsencode(self.home)
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                if command and (needle in command or needle in (folder / "environ").read_bytes()):
                    found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
        return found


@contextmanager
def place() -> Iterator[Place]:
    """A home in /tmp, as pytest's own paths are too long for sockets. Fails when anything outlives it."""
    with tempfile.TemporaryDirectory(prefix="swy-", dir="/tmp") as folder:
        one = Place(Path(folder))
        try:
            yield one
        finally:
            asyncio.run(one.clear())
        give_up = time.monotonic() + 3
        while (left := one.processes()) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert left == {}
        assert list((one.home / "run" / "supervisors").iterdir()) == []
        assert list((one.home / "workloads").iterdir()) == []
