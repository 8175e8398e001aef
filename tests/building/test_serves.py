"""Digits, answered by what is in its image and nothing else: packages, runtime, code and model, out of the layers.

The base is made up, so its interpreter is stood in for by the one that made ours, which has none of these packages.
tests/realtools runs the image whole, in podman.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from shipway.clock import SystemClock
from shipway.image.platform import Platform
from shipway.image.view import View
from shipway.models import Lineage, Versions
from shipway.oci import Layout
from tests.building.conftest import Builds
from tests.image import made_base

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
INTERPRETER = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
PATIENCE = 100.0  # seconds until it answers, on a machine where much else runs


def test_an_image_has_all_that_it_needs(builds: Builds, tmp_path: Path) -> None:
    here = Platform.of_machine(platform.machine())
    layout = Layout(tmp_path / "like-here")
    files = made_base.base_files(here, platform.python_version(), ("glibc", platform.libc_ver()[1]))
    made_base.image(layout, here, files, tag="base")
    project = tmp_path / "digits"
    shutil.copytree(DIGITS, project)
    version = trained(builds, tmp_path / "trained")
    outcome = builds.one(project, base=f"oci:{layout.root}:base", models=(f"digits:{version}",), env=dict(os.environ))
    root = tmp_path / "root"
    unpacked(View(builds.layout, [one.descriptor for one in outcome.image.platforms[0].layers]), root)
    sample = json.loads((DIGITS / "sample.json").read_text())
    assert answer(root, builds.config(outcome)["config"]["Env"], sample)["output"]["digit"] == [0, 1, 2]


def trained(builds: Builds, output: Path) -> int:
    """A version, trained here as the job of the example does."""
    output.mkdir()
    env = {**os.environ, "SHIPWAY_OUTPUT_DIR": str(output), "SHIPWAY_PARAMS": json.dumps({"epochs": 5})}
    subprocess.run([sys.executable, DIGITS / "train.py"], env=env, check=True, capture_output=True, timeout=100)
    builds.where.home.mkdir(exist_ok=True)
    lineage = Lineage(origin="job", run="digits-1", fingerprint="made", job="digits")
    return Versions(builds.layout, SystemClock()).pack("digits", output, lineage).number


def unpacked(view: View, root: Path) -> None:
    """The files and links of these layers, and nothing of the base."""
    root.mkdir()
    found = list(view.walk())
    for one in found:
        path = root / one.path
        if one.kind == "folder":
            path.mkdir(exist_ok=True)
        elif one.kind == "link":
            path.symlink_to(one.target)
    for stat, content in view.contents(one.path for one in found if one.kind == "file"):
        with (root / stat.path).open("wb") as out:
            while block := content.read(1 << 20):
                out.write(block)


def answer(root: Path, env: list[str], sample: object) -> dict[str, dict[str, list[int]]]:
    """What the server in there says to a request."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    [site] = (root / "opt/venv/lib").glob("python*/site-packages")
    said = dict(one.split("=", 1) for one in env)
    own = {
        **said,
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{site}:{root / 'opt/shipway'}",
        "PYTHONNOUSERSITE": "1",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "SHIPWAY_MODEL_DIR": str(root / "model"),
    }
    log = root / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [INTERPRETER, "-m", "shipway.runtime.server"], cwd=root / "app", env=own, stdout=out, stderr=out
        )
    try:
        give_up = time.monotonic() + PATIENCE
        while not ready(port):
            assert server.poll() is None and time.monotonic() < give_up, log.read_text()
            time.sleep(0.1)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("POST", "/predict", json.dumps(sample), {"Content-Type": "application/json"})
            told: dict[str, dict[str, list[int]]] = json.loads(connection.getresponse().read())
        server.terminate()
        assert server.wait(PATIENCE) == 0, log.read_text()
        return told
    finally:
        server.kill()
        server.wait()


def ready(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
