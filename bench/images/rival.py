"""The same images by buildah: on the same base, of the same wheels, with uv as the fastest that installs them.

buildah is given all that makes it fast: uv and its cache, warm as ours, are mounted into RUN and leave nothing in the
image; no network is set up for RUN; and where no layers are kept for the next time, it commits once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.home import ROOT
from bench.images.tree import Taken, taken
from shipway.oci import Layout, Manifest
from tests.realtools.sandbox import Sandbox

BASE = "localhost/base:1"
PYTHON = "/usr/bin/python3.11"  # of the base, which has no shell
UV = Path(sys.executable).parent / "uv"

_CONTAINERFILE = """\
FROM {base}
COPY requirements.txt /tmp/requirements.txt
RUN ["/opt/uv", "venv", "--quiet", "--python", "{python}", "/opt/venv"]
RUN ["/opt/uv", "pip", "install", "--quiet", "--python", "/opt/venv/bin/python", "--cache-dir", "/opt/cache", \\
 "--offline", "--no-index", "--find-links", "/opt/wheels", "--no-deps", "--require-hashes", \\
 "--requirement", "/tmp/requirements.txt"]
COPY body /opt/venv/lib/python3.11/site-packages
COPY model /model
WORKDIR /app
COPY app /app
ENV PATH=/opt/venv/bin:/usr/bin:/bin PORT=8080 HOST=0.0.0.0 SHIPWAY_MODEL_DIR=/model \\
 SHIPWAY_PREDICTOR=predictor.py:Digits
USER 10001:10001
CMD ["/opt/venv/bin/python", "-m", "shipway.runtime.server"]
"""


@dataclass(frozen=True, slots=True)
class Context:
    """A Containerfile and what it copies, made of a project and its lock; ``wheels`` are those of the lock."""

    folder: Path

    @property
    def wheels(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-wheels")

    @classmethod
    def of(cls, folder: Path, lock: Path, code: list[Path], model: Path) -> Context:
        """Fetches the wheels as pip is configured."""
        made = cls(folder)
        (folder / "app").mkdir(parents=True)
        for path in code:
            shutil.copy(path, folder / "app")
        shutil.copytree(model, folder / "model")
        body = folder / "body" / "shipway"
        package = ROOT / "src" / "shipway"
        shutil.copytree(package / "runtime", body / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(package / "__init__.py", body)
        requirements = folder / "requirements.txt"
        requirements.write_text("".join(f"{line}\n" for line in pinned(lock)))
        (folder / "Containerfile").write_text(_CONTAINERFILE.format(base=BASE, python=PYTHON))
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes")
        where = ("--only-binary=:all:", "--requirement", requirements, "--dest", made.wheels)
        subprocess.run([*pip, *where], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return made

    def change(self, number: int) -> None:
        """One line of the code, as a person would."""
        with (self.folder / "app" / "predictor.py").open("a") as file:
            file.write(f"# change {number}\n")


def pinned(lock: Path) -> Iterator[str]:
    """A lock as lines with hashes (PEP 751: one wheel of a package for one platform)."""
    for package in tomllib.loads(lock.read_text())["packages"]:
        hashes = (f"--hash=sha256:{wheel['hashes']['sha256']}" for wheel in package["wheels"])
        yield f"{package['name']}=={package['version']} {' '.join(hashes)}"


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah in a sandbox."""

    sandbox: Sandbox

    def take_base(self, layout: Path, tag: str) -> None:
        """The base that ours stands on becomes one of its images."""
        target = f"containers-storage:{BASE}"
        self.sandbox.run("skopeo", "--policy", self._policy, "copy", "--quiet", f"oci:{layout}:{tag}", target)

    def build(self, context: Context, name: str, *, layers: bool, memory: bool = False) -> Taken:
        """``layers``: keep one for each line, and take those that are there from an earlier time."""
        cache = context.folder.with_name("uv-cache")
        cache.mkdir(exist_ok=True)
        options = (f"--signature-policy={self._policy}", "--network=none", "--quiet", f"--layers={str(layers).lower()}")
        mounts = ((UV, "/opt/uv:ro"), (context.wheels, "/opt/wheels:ro"), (cache, "/opt/cache"))
        volumes = (f"--volume={source}:{target}" for source, target in mounts)
        command = self.sandbox.command("buildah", "bud", *options, *volumes, f"--tag={name}", context.folder)
        return taken(command, memory=memory)

    def beyond_base(self, name: str, form: str, scratch: Path) -> int:
        """Bytes of the layers above the base's, pushed with that compression."""
        policy = f"--signature-policy={self._policy}"
        for source, tag in ((BASE, "base"), (name, "image")):
            words = ("--quiet", f"--compression-format={form}", source, f"oci:{scratch}:{tag}")
            self.sandbox.run("buildah", "push", policy, *words, timeout=300)
        layout = Layout(scratch)
        base, image = (layout.read_manifest(layout.resolve(tag)) for tag in ("base", "image"))
        return beyond(image, len(base.layers))

    def forget(self, name: str) -> None:
        """As if it had never been built; the base stays."""
        self.sandbox.run("buildah", "rmi", "--force", name)
        self.sandbox.ask("buildah", "rmi", "--prune", "--force")

    @property
    def _policy(self) -> str:
        return str(self.sandbox.folder / "policy.json")


def beyond(image: Manifest, base_layers: int) -> int:
    """Bytes of an image's layers above those of its base."""
    return sum(one.size for one in image.layers[base_layers:])
