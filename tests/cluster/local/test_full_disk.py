"""A disk that takes nothing any more ends nothing that runs, and nothing that was asked is forgotten."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.local.folder import Folder
from shipway.cluster.local.supervisor import logs, program
from shipway.cluster.local.supervisor.durable import write_json
from shipway.cluster.local.supervisor.spawn import spawn
from shipway.testing.cluster_suite import server, until, until_gone, until_ready
from tests.cluster.local.place import Place, place


class Disk:
    """``write_json`` on a disk that refuses so many writes."""

    def __init__(self) -> None:
        self.refusals = 0
        self.code = errno.ENOSPC

    def write(self, path: str, document: dict[str, Any], *, sync: bool = True) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError(self.code, os.strerror(self.code))
        write_json(path, document, sync=sync)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    one = Disk()
    monkeypatch.setattr(program, "write_json", one.write)
    monkeypatch.setattr(program, "_REWRITE", 0.01)
    return one


@pytest.fixture(params=["server"])
def supervisor(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[program.Supervisor]:
    """Of a workload without replicas, which never asks for the signals of the test's own process."""
    monkeypatch.setattr(program.Supervisor, "_watch_signals", lambda _self: None)
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    plan = {"name": "web", "mode": request.param, "replicas": 0, "ports": [], "timeout": None, "socket": "s"}
    one = program.Supervisor(str(tmp_path), {**plan, "limits": {}, "cgroup": "shipway-none"}, None)
    yield one
    if one._control._socket.fileno() >= 0:
        one._control.close()


@pytest.fixture
def pushed(supervisor: program.Supervisor, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    phases: list[str] = []
    monkeypatch.setattr(supervisor._control, "push", lambda status: phases.append(status["phase"]))
    return phases


@pytest.fixture
def home() -> Iterator[Place]:
    with place() as one:
        yield one


@pytest.mark.parametrize("supervisor", ["job"], indirect=True)
def test_a_job_ends_only_when_its_result_is_written(
    supervisor: program.Supervisor, pushed: list[str], disk: Disk, tmp_path: Path
) -> None:
    disk.refusals = 3
    supervisor.run()
    assert disk.refusals == 0
    assert json.loads((tmp_path / "status.json").read_text())["phase"] == "Succeeded"
    assert pushed == ["Succeeded"]


@pytest.mark.parametrize("supervisor", ["server", "job"], indirect=True)
@pytest.mark.parametrize("how", ["by the hub", "by SIGTERM"])
def test_who_is_told_to_end_does_not_wait_for_a_disk_that_stays_full(
    supervisor: program.Supervisor, pushed: list[str], disk: Disk, tmp_path: Path, how: str
) -> None:
    disk.refusals = 1_000_000
    if how == "by SIGTERM":
        supervisor._on_terminate(signal.SIGTERM, None)
    else:
        supervisor._handle({"op": "stop"})
    supervisor.run()
    assert len(pushed) == 1 and pushed[0] in ("Failed", "Succeeded"), "who watches knows"
    assert not (tmp_path / "status.json").exists()


def test_who_watches_is_told_also_what_cannot_be_written(
    supervisor: program.Supervisor, pushed: list[str], disk: Disk, tmp_path: Path
) -> None:
    disk.refusals = 1
    supervisor._publish(0.0)
    assert pushed == ["Running"]
    assert not (tmp_path / "status.json").exists()
    supervisor._publish(supervisor._rewrite_at)
    assert pushed == ["Running"]
    assert (tmp_path / "status.json").exists()


@pytest.mark.parametrize("supervisor", ["job"], indirect=True)
def test_nobody_waits_for_a_supervisor_whose_folder_was_taken_away(
    supervisor: program.Supervisor, pushed: list[str], disk: Disk
) -> None:
    disk.refusals, disk.code = 1000, errno.ENOENT
    supervisor.run()
    assert pushed == ["Succeeded"]


def test_a_process_whose_pid_cannot_be_recorded_never_runs_and_leaves_nothing(tmp_path: Path) -> None:
    pids: list[int] = []

    def refuse(pid: int, _pipes: list[int]) -> None:
        pids.append(pid)
        raise OSError(errno.ENOSPC, "full")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="full"):
        spawn(["touch", "ran"], os.environ, str(tmp_path), refuse)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)


def test_a_log_that_cannot_be_opened_is_opened_by_a_later_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    log = logs.LogFile(str(tmp_path / "log"), size=1, files=2)
    log.write("stdout", [b"one"], 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        log.write("stdout", [b"lost", b"lost too"], 0.0)
    log.write("stdout", [b"two"], 0.0)
    log.close()
    assert (tmp_path / "log.1").read_text().endswith("one\n")
    assert (tmp_path / "log").read_text().endswith("two\n")


@pytest.mark.slow
def test_a_keeper_goes_on_when_there_is_space_again(home: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web"))
            before = (await until_ready(cluster, "web")).replicas[0]
            with monkeypatch.context() as patch:
                patch.setattr(Folder, "write", refuse)
                recorded = Folder(home.folder("web")).supervisor()
                assert recorded is not None
                for pid in (recorded[0], before.pid):
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
                await until(cluster, "web", lambda one: not one.ready)
                await asyncio.sleep(0.2)
            after = await until(cluster, "web", lambda one: bool(one.ready) and one.replicas[0].pid != before.pid)
            assert after.phase == "Running"

    asyncio.run(scenario())


@pytest.mark.slow
def test_what_the_disk_refused_can_be_asked_again(home: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    async def scenario() -> None:
        async with home.cluster() as cluster:
            await cluster.apply(server("web"))
            await until_ready(cluster, "web")
            with monkeypatch.context() as patch:
                for method in ("write_workload", "mark_deleted"):
                    patch.setattr(Folder, method, refuse)
                with pytest.raises(OSError, match="full"):
                    await cluster.apply(replace(server("web"), replicas=2))
                with pytest.raises(OSError, match="full"):
                    await cluster.delete("web")
            await cluster.apply(replace(server("web"), replicas=2))
            await until_ready(cluster, "web", 2)
            await cluster.delete("web")
            await until_gone(cluster, "web")

    asyncio.run(scenario())
