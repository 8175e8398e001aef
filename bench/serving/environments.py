"""An environment for each server, so that no package of one moves a package of another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

CACHE = Path.home() / ".cache" / "shipway-bench"

# One table of versions: what the servers share is the same in all of them.
_ENGINES = ("scikit-learn==1.9.1", "joblib==1.5.3", "numpy==2.4.6", "onnxruntime==1.31.1")
PINS: dict[str, tuple[str, ...]] = {
    "ours": (
        *("granian==2.8.7", "httptools==0.9.0", "msgspec==0.22.0", "orjson==3.13.0", "uvloop==0.23.0"),
        *("hpack==4.2.0", "protobuf==6.33.6"),  # for gRPC
        *("onnx==1.23.2", "skl2onnx==1.20.0"),  # for models.py
        *_ENGINES,
    ),
    # With a newer uvloop its worker processes die at their start, and it then answers nothing.
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop==0.21.0", *_ENGINES),
    "kserve": ("kserve==0.21.0", *_ENGINES),
    "litserve": ("litserve==0.2.19", *_ENGINES),
    "bentoml": ("bentoml==1.4.39", *_ENGINES),
    "ray": ("ray[serve]==2.60.0", *_ENGINES),
    "profiler": ("py-spy==0.4.1",),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder with an interpreter of its own."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        return self.program("python")

    def program(self, name: str) -> Path:
        """A command that a package of it brought."""
        return self.folder / "bin" / name

    def versions(self) -> dict[str, str]:
        """Of the packages that its pins name."""
        site = [str(path) for path in self.folder.glob("lib/python*/site-packages")]
        wanted = {_project(pin) for pin in PINS[self.name]}
        found = ((one.metadata["Name"].lower(), one.version) for one in metadata.distributions(path=site))
        return {name: version for name, version in sorted(found) if name in wanted}


def ensure(name: str, folder: Path) -> Environment:
    """The environment ``folder/name``, made if it is not there or if its pins have changed since.

    One that was made by hand (without our list of pins) is taken as it is.
    """
    made = Environment(name, folder / name)
    pins = "\n".join(PINS[name]) + "\n"
    record = made.folder / "bench-pins.txt"
    if made.python.exists() and (not record.exists() or record.read_text() == pins):
        return made
    print(f"making an environment for {name} in {made.folder} ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    for arguments in _commands(made):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    record.write_text(pins)
    return made


def _commands(environment: Environment) -> Iterator[list[str]]:
    uv = str(Path(sys.executable).parent / "uv")
    yield [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment.folder)]
    yield [uv, "pip", "install", "--quiet", "--python", str(environment.python), *PINS[environment.name]]


def _project(pin: str) -> str:
    return pin.partition("==")[0].partition("[")[0].lower()
