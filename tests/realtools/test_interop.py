"""skopeo, umoci and docker-registry read what we wrote, and see in it what we say is in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipway.image.view import View
from shipway.oci import Index, Layout
from tests.realtools.images import BASE_TAG, EXAMPLES, Images
from tests.testing.docker_registry import DockerRegistry, docker_registry

SBOM = "application/vnd.cyclonedx+json"
RECORD = "application/vnd.in-toto+json"


def tool(*words: str | Path) -> str:
    if not shutil.which(str(words[0])):
        pytest.skip(f"{words[0]} is not installed")
    done = subprocess.run([str(one) for one in words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def skopeo(*words: str | Path) -> str:
    return tool("skopeo", "--insecure-policy", *words)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    (tmp_path / "registry").mkdir()
    with docker_registry(tmp_path / "registry") as running:
        yield running


def test_skopeo_sees_what_a_container_will_do(images: Images) -> None:
    tag = images.digits()
    config: Any = json.loads(skopeo("inspect", "--config", f"oci:{images.oci}:{tag}"))
    said = config["config"]
    assert said["Entrypoint"] == ["/opt/venv/bin/python", "-m", "shipway.runtime.server"]
    assert (said["User"], said["WorkingDir"], said["StopSignal"]) == ("10001:10001", "/app", "SIGTERM")
    assert said["ExposedPorts"] == {"8080/tcp": {}}
    env = dict(one.split("=", 1) for one in said["Env"])
    assert env["SHIPWAY_MODEL_DIR"] == "/model" and env["PATH"].startswith("/opt/venv/bin:")
    base = images.layout.resolve(BASE_TAG).digest
    assert said["Labels"]["org.opencontainers.image.base.digest"] == base
    about: Any = json.loads(skopeo("inspect", f"oci:{images.oci}:{tag}"))
    assert about["Digest"] == images.layout.resolve(tag).digest
    assert about["Layers"] == [one.digest for one in images.layout.read_manifest(images.layout.resolve(tag)).layers]


def test_skopeo_copies_it_with_its_digest(images: Images, tmp_path: Path) -> None:
    tag = images.flask()
    skopeo("copy", "--quiet", "--preserve-digests", f"oci:{images.oci}:{tag}", f"oci:{tmp_path / 'copy'}:1")
    assert Layout(tmp_path / "copy").resolve("1").digest == images.layout.resolve(tag).digest


def test_umoci_unpacks_the_files_that_we_name(images: Images, tmp_path: Path) -> None:
    """Every path of every layer, whiteouts done; Debian's umoci (0.4) knows gzip only."""
    tag = images.built("flask-gzip", EXAMPLES / "flask-app", "--compression", "gzip")
    # umoci's tags have no slash.
    skopeo("copy", "--quiet", f"oci:{images.oci}:{tag}", f"oci:{tmp_path / 'layout'}:1")
    tool("umoci", "unpack", "--keep-dirlinks", "--image", f"{tmp_path / 'layout'}:1", tmp_path / "bundle")
    rootfs = tmp_path / "bundle" / "rootfs"
    found = {
        str(path.relative_to(rootfs)): _kind(path)
        for path in rootfs.rglob("*")
        if path.relative_to(rootfs).parts[0] != "dev"
    }
    manifest = images.layout.read_manifest(images.layout.resolve(tag))
    view = View(images.layout, manifest.layers)
    ours = {one.path: one.kind for one in view.walk() if one.path.split("/")[0] != "dev"}
    assert found == ours
    assert "app/app.py" in found and "opt/venv/bin/python" in found
    assert (rootfs / "app/app.py").read_bytes() == (EXAMPLES / "flask-app" / "app.py").read_bytes()
    owners = {(path.lstat().st_uid, path.lstat().st_gid, path.lstat().st_mtime) for path in (rootfs / "app").rglob("*")}
    assert owners == {(0, 0, 0.0)}


def test_a_registry_and_back(images: Images, registry: DockerRegistry, tmp_path: Path) -> None:
    tag = images.flask()
    name = f"{registry.host}/team/flask-app:1"
    project = images.root / "projects" / "flask-app"
    images.shipway("build", str(project), "--name", "flask-app", "--tag", "1", "--push", name)
    digest = images.layout.resolve(tag).digest
    about: Any = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
    assert about["Digest"] == digest
    copied = tmp_path / "copy"
    skopeo("copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", f"docker://{name}", f"oci:{copied}:1")
    assert Layout(copied).resolve("1").digest == digest
    # docker-registry 2.8 has no referrers API: what refers to an image hangs on a tag.
    raw = skopeo(
        "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/team/flask-app:sha256-{digest.hex}"
    )
    types = {one.artifact_type for one in Index.from_bytes(raw.encode()).manifests}
    assert {SBOM, RECORD} <= types


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "link"
    return "folder" if path.is_dir() else "file"
