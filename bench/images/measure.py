"""The measurements: in turns with buildah where it can do the same, on one base, lock and set of wheels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from bench.home import ROOT, SHIPWAY, Home
from bench.images.rival import Buildah, Context, beyond
from bench.images.tree import Taken, taken
from bench.report import Figure
from shipway.clock import SystemClock
from shipway.models import Lineage, Versions
from shipway.oci import Digest, Layout, Manifest
from shipway.testing.registry import FakeRegistry
from tests.realtools.images import BASE, BASE_TAG
from tests.realtools.sandbox import missing, sandbox

_NOTHING = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata:
  name: nothing
spec:
  command: [python3, -m, http.server, $(PORT)]
  port: 8080
"""


@dataclass(frozen=True, slots=True)
class Ours:
    """``shipway build`` of one project, in one home."""

    home: Home
    project: Path
    model: str

    def build(self, *options: str, memory: bool = False) -> Taken:
        words = (SHIPWAY, "build", self.project, "--base", BASE, "--tag", "bench")
        model = ("--model", self.model) if self.model else ()
        return taken((*words, *model, *options), self.home.environment, memory=memory)

    def change(self, number: int) -> None:
        """One line of the code, as a person would."""
        with (self.project / "predictor.py").open("a") as file:
            file.write(f"# change {number}\n")

    @property
    def manifest(self) -> Manifest:
        layout = Layout(self.home.path / "oci")
        return layout.read_manifest(layout.resolve(f"image/{self.project.name}:bench"))

    @property
    def beyond_base(self) -> int:
        layout = Layout(self.home.path / "oci")
        return beyond(self.manifest, len(layout.read_manifest(layout.resolve(BASE_TAG)).layers))


def images(repeat: int) -> Iterator[Figure]:
    """All rows of the table; buildah needs root, and is left out where there is none."""
    reason = missing()
    if reason:
        raise SystemExit(f"images cannot be measured beside buildah: {reason}")
    with _folder() as folder, sandbox(folder / "sandbox") as box:
        bench = _Bench(folder, Buildah(box))
        bench.prepare()
        yield from bench.digits(repeat)
        yield from bench.torch(max(1, repeat // 2))


@dataclass(frozen=True, slots=True)
class _Bench:
    folder: Path
    buildah: Buildah

    @property
    def template(self) -> Home:
        """A home that has the base and the models, and nothing else."""
        return Home(self.folder / "template")

    def prepare(self) -> None:
        nothing = self.folder / "nothing"
        nothing.mkdir()
        (nothing / "shipway.yaml").write_text(_NOTHING)
        (nothing / "index.html").write_text("nothing\n")  # an image of no file at all is refused
        Ours(self.template, nothing, "").build()
        self.buildah.take_base(self.template.path / "oci", BASE_TAG)

    def digits(self, repeat: int) -> Iterator[Figure]:
        trained = self._trained()
        project = self._project("digits")
        self._once(project, "digits:1")  # writes the lock, and warms uv's cache
        context = self._context(project, ["predictor.py"], trained)
        cold, again, sizes = [], [], set()
        for number in range(repeat + 1):
            with self._home() as home:
                ours = Ours(home, project, "digits:1")
                first = ours.build("--locked"), self.buildah.build(context, "localhost/cold:1", layers=False)
                self.buildah.forget("localhost/cold:1")
                self.buildah.build(context, "localhost/warm:1", layers=True)
                ours.change(number)
                context.change(number)
                second = ours.build("--locked"), self.buildah.build(context, "localhost/warm:1", layers=True)
                sizes.add(ours.beyond_base)
            if number:
                cold.append(first)
                again.append(second)
        yield from _against("examples/digits, cold build, wheels in the local cache", cold, 0.5)
        yield from _against("examples/digits, build after a change of code", again, 1, ours_bar=1)
        yield from self._sizes(min(sizes))

    def _sizes(self, ours: int) -> Iterator[Figure]:
        theirs = {
            form: self.buildah.beyond_base("localhost/warm:1", form, self.folder / form) for form in ("zstd", "gzip")
        }
        what = "digits beyond its base, packages, code and model"
        yield Figure(f"{what}: of buildah's, both zstd", "x", (ours / theirs["zstd"],), 1)
        yield Figure(f"{what}, Shipway (zstd)", "MB", (ours / 1e6,))
        yield Figure(f"{what}, buildah, zstd", "MB", (theirs["zstd"] / 1e6,))
        yield Figure(f"{what}, buildah, gzip (its default)", "MB", (theirs["gzip"] / 1e6,))
        yield Figure("the same digits as ONNX, without scikit-learn, Shipway", "MB", (self._onnx() / 1e6,))

    def _onnx(self) -> int:
        """The size of digits as ONNX: the graph answers for itself, so the service needs no package of its own."""
        output = self.folder / "onnx-output"
        output.mkdir()
        convert = (
            "import joblib, numpy, sys; from skl2onnx import to_onnx; model = joblib.load(sys.argv[1]);"
            "graph = to_onnx(model, numpy.zeros((1, 64), 'float32'), options={'zipmap': False});"
            "open(sys.argv[2], 'wb').write(graph.SerializeToString())"
        )
        files = (self.folder / "digits-output" / "model.joblib", output / "model.onnx")
        taken([sys.executable, "-c", convert, *files])
        self._pack("digits-onnx", output)
        project = self.folder / "digits-onnx"
        project.mkdir()
        service = _NOTHING.split("spec:")[0].replace("nothing", "digits-onnx") + "spec:\n  model: digits-onnx\n"
        (project / "shipway.yaml").write_text(service)
        with self._home() as home:
            ours = Ours(home, project, "digits-onnx:1")
            ours.build()
            return ours.beyond_base

    def torch(self, repeat: int) -> Iterator[Figure]:
        # A file of the size of its model: what is measured here is what carries it.
        trained = self.folder / "torch-mlp-output"
        trained.mkdir()
        (trained / "model.pt").write_bytes(os.urandom(1_600_000))
        self._pack("torch-mlp", trained)
        project = self._project("torch-mlp")
        self._once(project, "torch-mlp:1")
        context = self._context(project, ["predictor.py", "network.py"], trained)
        builds, peaks, theirs, layers, travelled = [], [], [], [], []
        for number in range(repeat):
            with self._home() as home, FakeRegistry(folder=home.path.with_name(f"registry-{number}")) as registry:
                ours = Ours(home, project, "torch-mlp:1")
                builds.append((ours.build("--locked"), self.buildah.build(context, "localhost/torch:1", layers=False)))
                self.buildah.forget("localhost/torch:1")
                target = f"{registry.host}/bench/torch-mlp:1"
                ours.build("--locked", "--push", target)
                ours.change(number)
                registry.forget()
                ours.build("--locked", "--push", target)
                sent = registry.requests(path="*/blobs/uploads/*")
                digests = {one.digest for one in ours.manifest.layers}
                layers.append(float(len({Digest(_digest(one.query)) for one in sent if one.method == "PUT"} & digests)))
                travelled.append(registry.requests().received / 1e3)
        for _ in range(repeat):  # apart: looking takes time
            with self._home() as home:
                peaks.append(Ours(home, project, "torch-mlp:1").build("--locked", memory=True).peak / 1e6)
            theirs.append(self.buildah.build(context, "localhost/torch:1", layers=False, memory=True).peak / 1e6)
            self.buildah.forget("localhost/torch:1")
        yield from _against("examples/torch-mlp, cold build, wheels in the local cache", builds, None)
        yield Figure("torch-mlp, one line changed and pushed: layers that travel", "", tuple(layers), 1)
        yield Figure("torch-mlp, one line changed and pushed: all that travels", "kB", tuple(travelled))
        yield Figure("torch-mlp, cold build: peak memory of all processes (PSS)", "MB", tuple(peaks), 300)
        yield Figure("torch-mlp, cold build, buildah: peak memory of all processes (PSS)", "MB", tuple(theirs))

    def _project(self, name: str) -> Path:
        project = self.folder / name
        shutil.copytree(ROOT / "examples" / name, project)
        return project

    def _once(self, project: Path, model: str) -> None:
        with self._home() as home:
            Ours(home, project, model).build()

    def _context(self, project: Path, code: list[str], model: Path) -> Context:
        lock = project / f"pylock.{project.name}.toml"
        return Context.of(self.folder / f"{project.name}-context", lock, [project / name for name in code], model)

    def _trained(self) -> Path:
        """What the job of digits leaves, as version 1 in the template."""
        output = self.folder / "digits-output"
        output.mkdir()
        env = {**self.template.environment, "SHIPWAY_OUTPUT_DIR": str(output)}
        taken([sys.executable, ROOT / "examples" / "digits" / "train.py"], env)
        self._pack("digits", output)
        return output

    def _pack(self, name: str, output: Path) -> None:
        versions = Versions(Layout(self.template.path / "oci"), SystemClock())
        versions.pack(name, output, Lineage(origin="job", run=f"{name}-1", fingerprint="bench", job=name))

    @contextmanager
    def _home(self) -> Iterator[Home]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        subprocess.run(["cp", "--archive", self.template.path, folder / "home"], check=True)
        try:
            yield Home(folder / "home")
        finally:
            shutil.rmtree(folder)


def _against(
    what: str, pairs: list[tuple[Taken, Taken]], bar: float | None, ours_bar: float | None = None
) -> Iterator[Figure]:
    ours, theirs = [one.seconds for one, _ in pairs], [one.seconds for _, one in pairs]
    ratios = tuple(mine / other for mine, other in zip(ours, theirs, strict=True))
    yield Figure(f"{what}: of buildah's time", "x", ratios, bar)
    yield Figure(f"{what}, Shipway", "s", tuple(ours), ours_bar)
    yield Figure(f"{what}, buildah", "s", tuple(theirs))


def _digest(query: str) -> str:
    """Of the request that ends an upload."""
    return parse_qs(query)["digest"][0]


@contextmanager
def _folder() -> Iterator[Path]:
    # /var/tmp: on many machines /tmp is memory, which would make disk look free, and on which no overlay can stand.
    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
