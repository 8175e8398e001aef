"""What the tests of several processes and of kill -9 run: a process that packs, materialises, or dies at a line.

Usage: packer.py ROOT pack PREFIX COUNT | materialise DIGEST | kill COUNT | full
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from shipway.errors import EnvironmentFault
from shipway.models import Lineage, Materials, Versions
from shipway.oci import Layout
from shipway.testing.clock import FakeClock

SEED = 20260101


def _versions(root: Path) -> Versions:
    return Versions(Layout(root / "oci"), FakeClock())


def pack(root: Path, prefix: str, count: int) -> None:
    print("ready", flush=True)
    while not (root / "go").exists():
        time.sleep(0.001)
    for number in range(count):
        _versions(root).pack("digits", root / "output", Lineage(run=f"{prefix}-{number}"))


def materialise(root: Path, digest: str) -> None:
    print("ready", flush=True)
    while not (root / "go").exists():
        time.sleep(0.001)
    folder = Materials(Layout(root / "oci"), root / "cache").materialise(digest)
    print(folder.stat().st_ino, sorted(path.name for path in folder.iterdir()))


def kill(root: Path, count: int) -> None:
    """Pack and materialise in ``count`` forks, each killed before a line of its own; print what each left."""
    counted = _with_one_version(root, "counted")
    chosen = random.Random(SEED).sample(range(_lines_of(counted)), count)
    print(json.dumps([_killed_at(_with_one_version(root, str(point)), point) for point in chosen]))


def _with_one_version(root: Path, name: str) -> Path:
    (root / name).mkdir()
    (root / name / "output").symlink_to(root / "output")
    _work(root / name, "run-1")
    return root / name


def _killed_at(root: Path, point: int) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        _die_before(root, point)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    left, wrong = [one.number for one in _versions(root).list("digits")], _wrong_blobs(root)
    _work(root, "run-2")
    mended = _versions(root).list("digits")
    return {
        "killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL,
        "left": left,
        "wrong": wrong,
        "mended": [(one.number, one.run) for one in mended],
        "temporaries": len(list((root / "oci" / "tmp").iterdir())),
        "parts": len(list((root / "cache" / "artifacts").glob("*.part"))),
    }


def _wrong_blobs(root: Path) -> list[str]:
    """Blobs that are not what they are called, and those that a version lacks."""
    layout = Layout(root / "oci")
    blobs = (root / "oci" / "blobs" / "sha256").iterdir()
    wrong = [one.name for one in blobs if hashlib.sha256(one.read_bytes()).hexdigest() != one.name]
    for tagged in layout.tags().values():
        for one in layout.read_index(tagged).manifests:
            manifest = layout.read_manifest(one)
            wrong += [blob.digest for blob in (manifest.config, *manifest.layers) if not layout.has_blob(blob)]
    return wrong


def full(root: Path) -> None:
    """Pack and materialise where no file may have more than some bytes, as on a full disk; then where it may."""
    versions = _versions(root)
    materials = Materials(Layout(root / "oci"), root / "cache")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def refused(work: Callable[[], object]) -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        try:
            work()
        except EnvironmentFault as error:
            return error.message
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        return ""

    packing = refused(lambda: versions.pack("digits", root / "output", Lineage(run="run-1")))
    left = [one.number for one in versions.list("digits")], len(list((root / "oci" / "tmp").iterdir()))
    made = versions.pack("digits", root / "output", Lineage(run="run-1"))
    writing = refused(lambda: materials.materialise(made.digest))
    folder = materials.materialise(made.digest)
    whole = (folder / "model.onnx").read_bytes() == (root / "output" / "model.onnx").read_bytes()
    print(json.dumps({"packing": packing, "left": left, "writing": writing, "made": made.number, "whole": whole}))


def _work(root: Path, run: str) -> None:
    made = _versions(root).pack("digits", root / "output", Lineage(run=run))
    folder = Materials(Layout(root / "oci"), root / "cache").materialise(made.digest)
    assert (folder / "model.onnx").read_bytes() == (root / "output" / "model.onnx").read_bytes()


def _lines_of(root: Path) -> int:
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1

    _traced(root, count)
    return seen


def _die_before(root: Path, point: int) -> None:
    left = point

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _traced(root, count)


def _traced(root: Path, on_line: Callable[[], None]) -> None:
    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if "/shipway/oci/" not in frame.f_code.co_filename and "/shipway/models/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            on_line()
        return trace

    sys.settrace(trace)
    _work(root, "run-2")
    sys.settrace(None)


if __name__ == "__main__":
    at, verb, *arguments = sys.argv[1:]
    if verb == "pack":
        pack(Path(at), arguments[0], int(arguments[1]))
    elif verb == "materialise":
        materialise(Path(at), arguments[0])
    elif verb == "kill":
        kill(Path(at), int(arguments[0]))
    else:
        full(Path(at))
