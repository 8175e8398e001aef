"""A home that lives as long as a measurement, and the commands that run in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHIPWAY = Path(sys.executable).parent / "shipway"


@dataclass(frozen=True, slots=True)
class Home:
    """A folder as SHIPWAY_HOME, and beside it room for projects."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHIPWAY_")}
        return {**inherited, "SHIPWAY_HOME": str(self.path)}

    def run(self, *arguments: str | Path) -> str:
        """Run ``shipway`` with these arguments; its output. Stops the measuring when it fails."""
        done = subprocess.run(
            [SHIPWAY, *arguments], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"shipway {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def timed(self, *arguments: str | Path) -> float:
        """Seconds that the whole process takes."""
        start = time.perf_counter()
        self.run(*arguments)
        return time.perf_counter() - start

    def services(self) -> dict[str, str]:
        """Name to URL of every service."""
        document: Any = json.loads(self.run("get", "services", "-o", "json"))
        items = document["items"] if isinstance(document, dict) else document
        return {one["metadata"]["name"]: one["status"]["url"] for one in items}


@contextmanager
def home() -> Iterator[Home]:
    """An empty home; at the end nothing of it runs or is left."""
    # /var/tmp: on many machines /tmp is memory, which would make disk look free.
    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-", dir="/var/tmp"))
    made = Home(folder / "home")
    try:
        yield made
    finally:
        for command in (("down", "--all"), ("hub", "stop")):
            subprocess.run(
                [SHIPWAY, *command], env=made.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        shutil.rmtree(folder, ignore_errors=True)
