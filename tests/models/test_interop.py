"""Programs of others read what we write, and what they hand back is the same version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.kinds import ModelVersion
from shipway.models import Lineage, Versions, artifact
from shipway.models.modelpack import FILEPATH, TITLE, Form
from shipway.oci import Descriptor, Layout
from shipway.testing.clock import FakeClock
from tests.testing.docker_registry import docker_registry

pytestmark = [pytest.mark.realtool, pytest.mark.slow]

Output = Callable[..., Path]
FILES = {"model.onnx": b"weights" * 5000, "a.json": b"{}", "deep/er/README.md": b"# hi", "run.sh": b"#!/bin/sh\n"}
LINEAGE = Lineage(run="digits-1", job="digits", metrics={"accuracy": 0.97})
FORMS = ["tar", "tar+zstd", "raw"]


def _run(program: str, *arguments: str | Path) -> bytes:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _skopeo_copy(*arguments: str) -> None:
    _run("skopeo", "--insecure-policy", "copy", "--preserve-digests", *arguments)


def _packed(versions: Versions, output: Output, form: Form = "tar") -> ModelVersion:
    folder = output(FILES)
    (folder / "run.sh").chmod(0o755)
    return versions.pack("digits", folder, LINEAGE, form=form)


def _adopted(root: Path, tag: str) -> tuple[Versions, ModelVersion]:
    """What another tool put into a layout, as a version there."""
    layout = Layout(root)
    versions = Versions(layout, FakeClock())
    return versions, versions.adopt("pulled", layout.resolve(tag), "r.example.com/digits@sha256:...")


def _files(root: Path) -> dict[str, bytes]:
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return dict(sorted(found.items()))


def test_skopeo_inspects_the_twin_of_each_platform(versions: Versions, layout: Layout, output: Output) -> None:
    made = _packed(versions, output)
    for architecture in ("amd64", "arm64"):
        told = json.loads(_run("skopeo", "--override-arch", architecture, "inspect", f"oci:{layout.root}:digits:1"))
        assert (told["Digest"], told["Architecture"], told["Os"]) == (made.digest, architecture, "linux")
        layers = artifact.opened(layout, layout.resolve("digits:1")).layers
        assert told["Layers"] == [one.digest for one in layers]


@pytest.mark.parametrize("form", FORMS)
def test_skopeo_copies_every_digest(
    versions: Versions, layout: Layout, output: Output, tmp_path: Path, form: Form
) -> None:
    made = _packed(versions, output, form)
    _skopeo_copy("--all", f"oci:{layout.root}:digits:1", f"oci:{tmp_path}/copy:digits:1")
    there, copied = _adopted(tmp_path / "copy", "digits:1")
    assert (copied.digest, copied.format, copied.size) == (made.digest, made.format, made.size)
    assert (copied.origin, copied.run, copied.metrics) == ("pulled", "", {"accuracy": 0.97})
    assert there.lineage("pulled", copied.number) == versions.lineage("digits", 1)


@pytest.mark.parametrize("form", FORMS)
def test_through_the_registry_of_debian_and_back(
    versions: Versions, layout: Layout, output: Output, tmp_path: Path, form: Form
) -> None:
    made = _packed(versions, output, form)
    with docker_registry(tmp_path) as registry:
        name = f"docker://{registry.host}/team/digits:1"
        _skopeo_copy("--all", "--dest-tls-verify=false", f"oci:{layout.root}:digits:1", name)
        _skopeo_copy("--all", "--src-tls-verify=false", name, f"oci:{tmp_path}/back:digits:1")
    there, back = _adopted(tmp_path / "back", "digits:1")
    assert back.digest == made.digest
    assert there.lineage("pulled", back.number) == versions.lineage("digits", 1)


def test_a_place_that_kept_the_modelpack_alone_keeps_the_lineage(
    versions: Versions, layout: Layout, output: Output, tmp_path: Path
) -> None:
    made = _packed(versions, output)
    manifest = artifact.manifest_of(layout, layout.resolve("digits:1"))
    layout.tag(manifest, "alone")
    _skopeo_copy(f"oci:{layout.root}:alone", f"oci:{tmp_path}/copy:alone")
    there, copied = _adopted(tmp_path / "copy", "alone")
    assert (copied.digest, copied.size, copied.format) == (manifest.digest, made.size, made.format)
    assert there.lineage("pulled", 1) == versions.lineage("digits", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="umoci wants to give the files to root")
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_umoci_unpacks_the_twin(
    versions: Versions, layout: Layout, output: Output, tmp_path: Path, architecture: str
) -> None:
    _packed(versions, output)
    # umoci chooses no platform: skopeo does, as a runtime that pulls would.
    arguments = ["--insecure-policy", "--override-arch", architecture, "copy", "--preserve-digests"]
    _run("skopeo", *arguments, f"oci:{layout.root}:digits:1", f"oci:{tmp_path}/image:digits")
    _run("umoci", "unpack", "--image", f"{tmp_path}/image:digits", tmp_path / "bundle")
    rootfs = tmp_path / "bundle" / "rootfs"
    assert _files(rootfs) == dict(sorted(FILES.items()))
    modes = {path.name: path.stat().st_mode & 0o777 for path in rootfs.rglob("*")}
    assert modes == {
        "model.onnx": 0o644,
        "a.json": 0o644,
        "README.md": 0o644,
        "run.sh": 0o755,
        "deep": 0o755,
        "er": 0o755,  # whoever the container runs as may look into them
    }


@pytest.mark.extras
@pytest.mark.parametrize("form", FORMS)
def test_oras_pulls_the_layers(versions: Versions, layout: Layout, output: Output, tmp_path: Path, form: Form) -> None:
    oras = pytest.importorskip("oras.client")
    _packed(versions, output, form)
    manifest: Descriptor = artifact.manifest_of(layout, layout.resolve("digits:1"))
    with docker_registry(tmp_path) as registry:
        name = f"{registry.host}/team/digits"
        _skopeo_copy("--all", "--dest-tls-verify=false", f"oci:{layout.root}:digits:1", f"docker://{name}:1")
        pulled = oras.OrasClient(hostname=registry.host, insecure=True).pull(
            target=f"{name}@{manifest.digest}", outdir=str(tmp_path / "pulled")
        )
    assert len(pulled) == len(FILES)
    for layer in layout.read_manifest(manifest).layers:
        written = (tmp_path / "pulled" / layer.annotations[TITLE]).read_bytes()
        assert written == layout.read_blob(layer)
        if form == "raw":
            assert written == FILES[layer.annotations[FILEPATH]]
