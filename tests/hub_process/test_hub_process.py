from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from shipway import hub_process
from shipway.errors import EnvironmentFault, Refused
from shipway.settings import Settings

FAKE = Path(__file__).parent / "fake_hub.py"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(home=tmp_path / "home")
    yield settings
    hub_process.stop(settings)


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A home whose sockets lie in it, however long pytest's own temporary folders are."""
    with tempfile.TemporaryDirectory(prefix="shw-", dir="/tmp") as folder:
        yield Path(folder)


def _argv(settings: Settings, mode: str = "answers") -> list[str]:
    return [sys.executable, "-S", str(FAKE), mode, str(settings.hub_socket), str(settings.hub_lock)]


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_no_hub(settings: Settings) -> None:
    assert hub_process.status(settings) is None
    assert hub_process.stop(settings) is False
    assert not settings.home.exists()


def test_a_socket_that_another_user_made_is_not_spoken_to(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Settings(home=short_home)
    home.sockets.mkdir(parents=True)
    assert home.sockets.is_relative_to(short_home), "outside of the home the folder's name has the user in it"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.hub_socket))
        listener.listen()
        ours = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: ours + 1)
        with pytest.raises(Refused, match=f"hub.sock is answered by a program of another user \\(uid {ours}"):
            hub_process.status(home)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(1) == b"", "not a byte was sent"


@pytest.mark.slow
def test_a_hub_is_started_found_and_stopped(settings: Settings) -> None:
    started = hub_process.ensure(settings, argv=_argv(settings), version="1.0")
    assert hub_process.status(settings) == started
    assert hub_process.ensure(settings, argv=["never-started"], version="1.0") == started
    assert hub_process.stop(settings) is True
    assert not Path(f"/proc/{started['pid']}").exists() or hub_process._ended(started["pid"])
    assert hub_process.status(settings) is None
    assert hub_process.stop(settings) is False


@pytest.mark.slow
def test_it_shares_nothing_with_who_started_it(settings: Settings) -> None:
    settings = replace(settings, docker_config=Path("/there/config.json"))
    health = hub_process.ensure(settings, argv=_argv(settings), version="1.0")
    log = str(settings.hub_log)
    assert health["descriptors"] == {"0": "/dev/null", "1": log, "2": log}
    assert health["session"] == health["pid"]
    assert health["cwd"] == "/"
    assert health["docker"] == "/there", "not as it was written: the working directory is another"
    assert health["home"] == str(settings.home)
    assert "fake hub starts" in settings.hub_log.read_text()
    assert (_mode(settings.hub_log), _mode(settings.home)) == (0o600, 0o700)


@pytest.mark.slow
def test_a_program_whose_output_is_captured_returns_while_the_hub_lives(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from shipway import hub_process; from shipway.settings import Settings;"
        "print(hub_process.ensure(Settings(home=Path(sys.argv[1])), argv=sys.argv[2:], version='1.0')['inherited'])"
    )
    reader, writer = os.pipe()  # as a jobserver of make has: a pipe that every child inherits
    command = [sys.executable, "-c", code, str(settings.home), *_argv(settings)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=20, pass_fds=(writer,))
    os.close(writer)
    assert os.read(reader, 1) == b"", "the hub holds the pipe"
    os.close(reader)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "[]\n", "")
    assert hub_process.status(settings) is not None


@pytest.mark.slow
def test_started_by_many_at_once_there_is_one(settings: Settings) -> None:
    def ensure(_: int) -> object:
        return hub_process.ensure(settings, argv=_argv(settings, "slow"), version="1.0")["pid"]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ensure, range(4)))) == 1


@pytest.mark.slow
def test_one_that_came_second_does_not_become_the_hub_after_a_quick_stop(settings: Settings) -> None:
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(hub_process.ensure, settings, argv=_argv(settings, "late"), version="1.0")
        while not (settings.hub_log.exists() and "fake hub starts" in settings.hub_log.read_text()):
            time.sleep(0.005)
        first = hub_process.ensure(settings, argv=_argv(settings), version="1.0")
        assert second.result(20) == first
    assert hub_process.stop(settings) is True
    time.sleep(0.8)
    assert hub_process.status(settings) is None


@pytest.mark.slow
def test_a_hub_of_another_version_is_replaced(settings: Settings) -> None:
    old = hub_process.ensure(settings, argv=_argv(settings), version="1.0")
    new = hub_process.ensure(settings, argv=_argv(settings), version="1.1")
    assert new["pid"] != old["pid"]
    assert hub_process._ended(old["pid"])


@pytest.mark.slow
def test_another_gateway_port_than_the_hub_has_is_not_ignored(settings: Settings) -> None:
    started = hub_process.ensure(settings, argv=_argv(settings), version="1.0")
    assert hub_process.ensure(replace(settings, gateway_port=8100), argv=_argv(settings), version="1.0") == started
    with pytest.raises(Refused, match="runs with gateway port 8100, SHIPWAY_GATEWAY_PORT asks for 2024") as found:
        hub_process.ensure(replace(settings, gateway_port=2024), argv=_argv(settings), version="1.0")
    assert "shipway hub stop" in found.value.next_step
    hub_process.stop(settings)
    asked = replace(settings, gateway_port=2024)
    assert hub_process.ensure(asked, argv=_argv(asked), version="1.0")["gateway"]["url"].endswith(":2024")


@pytest.mark.slow
def test_a_hub_that_hangs_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = hub_process.ensure(settings, argv=_argv(settings), version="1.0")["pid"]
    monkeypatch.setattr(hub_process, "_HEALTH_TIMEOUT", 0.1)
    monkeypatch.setattr(hub_process, "_START_TIMEOUT", 0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        for call in (hub_process.stop, lambda where: hub_process.ensure(where, argv=_argv(where), version="1.0")):
            with pytest.raises(EnvironmentFault, match=rf"the hub \(pid {pid}\) hangs") as found:
                call(settings)
            assert f"`kill -9 {pid}` harms no workload" in found.value.next_step
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_a_hub_that_is_about_to_answer_is_stopped_too(settings: Settings) -> None:
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(hub_process.ensure, settings, argv=_argv(settings, "slow"), version="1.0")
        while not (settings.hub_lock.exists() and settings.hub_lock.read_text()):
            time.sleep(0.005)
        first = int(settings.hub_lock.read_text())
        hub_process.stop(settings)
        assert hub_process._ended(first)
        # Whoever asked for it may not have seen it in that moment, and has started one more: that is its right.
        started.result(20)


@pytest.mark.slow
def test_a_hub_that_refuses_its_home_is_the_users_to_mend(settings: Settings) -> None:
    with pytest.raises(Refused, match="that is no home"):
        hub_process.ensure(settings, argv=_argv(settings, "refuses"), version="1.0")


@pytest.mark.slow
def test_a_socket_that_a_killed_hub_left_is_no_hub(settings: Settings) -> None:
    old = hub_process.ensure(settings, argv=_argv(settings), version="1.0")["pid"]
    os.kill(old, signal.SIGKILL)
    give_up = time.monotonic() + 5
    while not hub_process._ended(old) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert settings.hub_socket.exists()
    assert hub_process.status(settings) is None
    assert hub_process.ensure(settings, argv=_argv(settings), version="1.0")["pid"] != old


@pytest.mark.slow
def test_a_hub_that_dies_while_it_starts_says_why_and_only_its_own_words(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    settings.hub_log.write_text("words of an earlier hub\n")
    with pytest.raises(EnvironmentFault) as found:
        hub_process.ensure(settings, argv=_argv(settings, "dies"), version="1.0")
    assert found.value.message == (
        "the hub ended while it started (exit code 3)\nfake hub starts\nthe store is of a newer Shipway"
    )
    assert found.value.next_step == f"the full log: {settings.hub_log}"


@pytest.mark.slow
def test_a_hub_that_never_answers_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_process, "_START_TIMEOUT", 0.3)
    with pytest.raises(EnvironmentFault, match="the hub did not answer on"):
        hub_process.ensure(settings, argv=["sleep", "30"], version="1.0")


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="the hub cannot be started") as found:
        hub_process.ensure(Settings(home=tmp_path / "file" / "home"), argv=["never-started"])
    assert "SHIPWAY_HOME" in found.value.next_step


def test_a_hub_that_ended_but_was_not_reaped_has_ended() -> None:
    process = subprocess.Popen(["true"])
    give_up = time.monotonic() + 5
    while not hub_process._ended(process.pid) and time.monotonic() < give_up:
        time.sleep(0.005)
    assert process.returncode is None
    assert hub_process._ended(process.pid)
    process.wait()
    assert hub_process._ended(process.pid)
    assert not hub_process._ended(os.getpid())


def test_a_hub_that_could_not_even_write_its_log_died_of_a_full_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.home.mkdir(parents=True)
    settings.hub_log.touch()
    full = os.statvfs_result((4096, 4096, 10, 0, 0, 10, 5, 5, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    told = hub_process._failed("the hub ended while it started (exit code 5)", settings, 0)
    assert told.message == f"the hub ended while it started (exit code 5): the disk of {settings.home} is full"
    settings.hub_log.write_text("its own words")
    assert "its own words" in hub_process._failed("the hub ended", settings, 0).message
