"""Another tool reads what we write."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.models import Lineage, Versions
from shipway.oci import Layout
from shipway.testing.clock import FakeClock

pytestmark = [
    pytest.mark.realtool,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]


def _skopeo(*arguments: str) -> bytes:
    return subprocess.run(["skopeo", *arguments], capture_output=True, check=True).stdout


def test_skopeo_reads_and_copies_a_version(
    versions: Versions, layout: Layout, output: Callable[..., Path], tmp_path: Path
) -> None:
    made = versions.pack("digits", output({"model.onnx": b"weights", "a.json": b"{}"}), Lineage(run="digits-1"))
    # --raw: without it skopeo wants the config of an image, and a ModelPack has one of its own.
    manifest = json.loads(_skopeo("inspect", "--raw", f"oci:{layout.root}:digits:1"))
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    _skopeo("--insecure-policy", "copy", f"oci:{layout.root}:digits:1", f"oci:{tmp_path}/copy:digits:1")
    copied = Versions(Layout(tmp_path / "copy"), FakeClock())
    assert copied.list("digits") == (made,)
