"""The images that are run and looked at, each built once a session by the command that users have."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from platform import machine
from typing import Any, TypeAlias

from shipway.clock import SystemClock
from shipway.image.platform import Platform
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from tests.testing.docker_registry import docker_registry

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHIPWAY = Path(sys.executable).parent / "shipway"
BASE = "debian:bookworm"
BASE_TAG = f"base/debian-bookworm-{Platform.of_machine(machine()).architecture}"
_TO_ONNX = """
import sys
import joblib, numpy
from skl2onnx import to_onnx
from shipway import output_dir
model = joblib.load(f"{sys.argv[1]}/model.joblib")
graph = to_onnx(model, numpy.zeros((1, 64), "float32"), options={"zipmap": False})
(output_dir() / "model.onnx").write_bytes(graph.SerializeToString())
"""
SLOW = 240.0  # seconds for a build that also makes the base and downloads

Edit: TypeAlias = Callable[[Path], None]  # fills a folder, or changes what is in it


def _as_it_is(project: Path) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Images:
    """A home with images in it, below ``root``; safe for several processes."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def oci(self) -> Path:
        """The layout that holds every image, for other programs."""
        return self.home / "oci"

    @property
    def layout(self) -> Layout:
        return Layout(self.oci)

    def digits(self) -> str:
        """examples/digits with a trained model inside; its tag in the layout."""
        return self.built("digits", EXAMPLES / "digits", "--model", f"digits:{self.model()}")

    def flask(self) -> str:
        """examples/flask-app, started by the command of its shipway.yaml."""
        return self.built("flask-app", EXAMPLES / "flask-app")

    def flask_by_dockerfile(self) -> str:
        """examples/flask-app by its Dockerfile. Nothing of it is changed but the registry that FROM means."""
        self.flask()  # makes the base
        name, place = "flask-dockerfile", self.root / "registry"
        file = self.root / "projects" / name / "Dockerfile"
        place.mkdir(exist_ok=True)
        with docker_registry(place) as registry:
            library = f"{registry.host}/library/python"

            def edit(project: Path) -> None:
                to = ("--dest-tls-verify=false", f"oci:{self.oci}:{BASE_TAG}", f"docker://{library}:3.11-slim")
                _skopeo("copy", "--quiet", *to)
                file.write_text(file.read_text().replace("FROM python:", f"FROM {library}:"))

            return self.built(name, EXAMPLES / "flask-app", "--file", str(file), base="", edit=edit)

    def courier(self) -> str:
        """Shipway itself."""
        with self._once("courier") as made:
            if "tag" not in made:
                self.shipway("build", "--courier", "--base", BASE, "--tag", "1")
                made["tag"] = "image/courier:1"
        return str(made["tag"])

    def model(self) -> int:
        """The number of a version of digits, trained here as its job does."""
        return self._packed("digits", lambda output: _program(output, EXAMPLES / "digits" / "train.py"))

    def onnx_model(self) -> int:
        """The number of a version with the same network as ONNX."""
        self.model()
        return self._packed("digits-onnx", lambda output: _program(output, "-c", _TO_ONNX, self.trained))

    def size(self, tag: str) -> int:
        """Bytes of an image's layers, its base's included."""
        return sum(one.size for one in self.layout.read_manifest(self.layout.resolve(tag)).layers)

    @property
    def trained(self) -> Path:
        """The folder with the model's files, after :meth:`model`."""
        return self.root / "trained" / "digits"

    def built(self, name: str, project: Path, *options: str, base: str = BASE, edit: Edit = _as_it_is) -> str:
        """``shipway build`` of a copy of the project, when nobody has built it yet; its tag in the layout."""
        with self._once(name) as made:
            if "tag" not in made:
                folder = self.root / "projects" / name
                shutil.copytree(project, folder)
                edit(folder)
                on = ("--base", base) if base else ()
                self.shipway("build", str(folder), "--name", name, "--tag", "1", *on, *options)
                made["tag"] = f"image/{name}:1"
        return str(made["tag"])

    def shipway(self, *words: str) -> str:
        """A command of this home that must end with 0; its stdout."""
        done = subprocess.run(
            [SHIPWAY, *words],
            env={**os.environ, "SHIPWAY_HOME": str(self.home)},
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SLOW,
            check=False,
        )
        assert done.returncode == 0, f"shipway {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _packed(self, name: str, make: Edit) -> int:
        """A version of what ``make`` leaves in a folder, as if a job had made it."""
        with self._once(f"model-{name}") as made:
            if "version" not in made:
                output = self.root / "trained" / name
                output.mkdir(parents=True)
                make(output)
                lineage = Lineage(origin="job", run=f"{name}-1", fingerprint="realtools", job=name)
                made["version"] = Versions(self.layout, SystemClock()).pack(name, output, lineage).number
        return int(made["version"])

    @contextmanager
    def _once(self, name: str) -> Iterator[dict[str, Any]]:
        """What is known of ``name``, held while it is being made; what the caller adds is known to all after it."""
        self.root.mkdir(exist_ok=True)
        record = self.root / f"{name}.json"
        with (self.root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
            yield known
            record.write_text(json.dumps(known))


def _program(output: Path, *words: str | Path) -> None:
    """A Python program that leaves its files in ``output``."""
    env = {**os.environ, "SHIPWAY_OUTPUT_DIR": str(output), "SHIPWAY_PARAMS": json.dumps({"epochs": 5})}
    subprocess.run([sys.executable, *words], env=env, check=True, capture_output=True, timeout=60)


def _skopeo(*words: str) -> None:
    subprocess.run(("skopeo", "--insecure-policy", *words), check=True, capture_output=True, timeout=60)
