"""Models to and from a registry: against skopeo, in turns on one machine, and what must not travel.

``python -m bench.registry push|pull LAYOUT REFERENCE`` is one transfer in a process of its own, as the hub does it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.home import ROOT
from bench.report import Figure
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Layout, Manifest
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Registry
from shipway.testing.registry import FakeRegistry

FILES = 20
LARGE = 1 << 30  # bytes of the model that is timed
SMALL = 160 << 20  # of the one whose requests are counted
PULLERS = 10
TAG = "bench"

_LOOK = 0.02  # seconds between two looks at a process


@dataclass(frozen=True, slots=True)
class Taken:
    """One transfer: seconds of the whole process, and the most memory that it had, in bytes."""

    seconds: float
    peak: int


def registry(repeat: int) -> Iterator[Figure]:
    """Push and pull of 1 GiB in 20 files beside skopeo; a second push with one file changed; ten pulls at once."""
    with _folder() as folder:
        model = _model(folder / "model", LARGE)
        rounds = [_round(folder / f"round-{number}", model) for number in range(repeat + 1)][1:]
    for number, what in enumerate(("push", "pull")):
        ours, theirs = [one[number][0] for one in rounds], [one[number][1] for one in rounds]
        ratios = tuple(mine.seconds / other.seconds for mine, other in zip(ours, theirs, strict=True))
        yield Figure(f"{what} of 1 GiB in {FILES} files, docker-registry, of skopeo's time", "x", ratios, 1)
        yield Figure(f"{what} of 1 GiB, Shipway", "s", tuple(one.seconds for one in ours))
        yield Figure(f"{what} of 1 GiB, skopeo copy --preserve-digests", "s", tuple(one.seconds for one in theirs))
        yield Figure(f"{what} of 1 GiB, peak memory of the process", "MB", tuple(one.peak / 1e6 for one in ours), 150)
        yield Figure(f"{what} of 1 GiB, peak memory of skopeo", "MB", tuple(one.peak / 1e6 for one in theirs))
    yield from _counted(repeat)


def _round(folder: Path, model: Path) -> list[tuple[Taken, Taken]]:
    """Both push, each to a registry that knows nothing; then both pull from the same one."""
    folder.mkdir()
    name = f"oci:{model}:{TAG}"
    copy = ("skopeo", "copy", "--preserve-digests", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false")
    with _docker_registry(folder / "ours") as host, _docker_registry(folder / "theirs") as other:
        pushes = (
            _timed(_child("push", model, f"{host}/bench/model:{TAG}")),
            _timed([*copy, name, f"docker://{other}/bench/model:{TAG}"]),
        )
        pulls = (
            _timed(_child("pull", folder / "pulled", f"{host}/bench/model:{TAG}")),
            _timed([*copy, f"docker://{host}/bench/model:{TAG}", f"oci:{folder / 'copied'}:{TAG}"]),
        )
    shutil.rmtree(folder)
    return [pushes, pulls]


def _counted(repeat: int) -> Iterator[Figure]:
    travelled, fetched = [], []
    for _ in range(repeat):
        with _folder() as folder, FakeRegistry(folder=folder / "registry") as fake:
            model, reference = _model(folder / "model", SMALL), f"{fake.host}/bench/model:{TAG}"
            _timed(_child("push", model, reference))
            _change_one_file(Layout(model))
            fake.forget()
            _timed(_child("push", model, reference))
            travelled.append(fake.requests().received / (SMALL / FILES))
            fake.forget()
            command = _child("pull", folder / "pulled", reference)
            Layout(folder / "pulled")
            pullers = [subprocess.Popen(command, cwd=ROOT) for _ in range(PULLERS)]
            if any(code for code in [one.wait() for one in pullers]):
                raise SystemExit("a pull failed")
            fetched.append(len(fake.requests("GET", "*/blobs/*")) / FILES)  # its config is in the manifest
    yield Figure(
        f"second push, one of {FILES} files changed: bytes that travel, of that file's", "x", tuple(travelled), 1.01
    )
    yield Figure(f"{PULLERS} processes pull one model at once: times that each blob is fetched", "x", tuple(fetched), 1)


def _model(root: Path, size: int) -> Path:
    layout = Layout(root)
    layers = tuple(layout.put_blob(os.urandom(size // FILES), "application/x-raw") for _ in range(FILES))
    layout.put_blob(EMPTY_CONFIG_BYTES)
    layout.put_manifest(Manifest(EMPTY_CONFIG, layers, "application/x-bench"), tag=TAG)
    return root


def _change_one_file(layout: Layout) -> None:
    manifest = layout.read_manifest(layout.resolve(TAG))
    changed = layout.put_blob(os.urandom(SMALL // FILES), "application/x-raw")
    layout.put_manifest(Manifest(manifest.config, (*manifest.layers[1:], changed), manifest.artifact_type), tag=TAG)


def _child(what: str, layout: Path, reference: str) -> list[str]:
    return [sys.executable, "-m", "bench.registry", what, str(layout), reference]


def _timed(command: Sequence[str | Path]) -> Taken:
    """Run it; what the kernel calls ru_maxrss would count this process too, which the other one begins as."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, cwd=ROOT)
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        if match := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            peak = int(match[1]) * 1024  # grows only
        time.sleep(_LOOK)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return Taken(time.perf_counter() - start, peak)


@contextmanager
def _docker_registry(folder: Path) -> Iterator[str]:
    """Debian's docker-registry, empty, on a port that neither of the two has met: skopeo remembers where blobs were."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    folder.mkdir()
    config = folder / "config.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}"
    config.write_text(
        f'version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n{storage}\nhttp: {{addr: "{host}"}}\n'
    )
    process = subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(host)
        yield host
    finally:
        process.terminate()
        process.wait()


def _wait_for(host: str) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((name, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def _folder() -> Iterator[Path]:
    # /var/tmp: on many machines /tmp is memory, which would make disk look free.
    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _transfer(what: str, layout: Layout, reference: Reference) -> None:
    async with Registry(Anonymous()) as client:
        with layout.lease(f"{what} {reference}") as lease:
            if what == "push":
                await client.push(layout, layout.resolve(TAG), reference)
            else:
                layout.tag(await client.pull(reference, layout, lease), TAG)


if __name__ == "__main__":
    asyncio.run(_transfer(sys.argv[1], Layout(Path(sys.argv[2])), Reference.parse(sys.argv[3])))
