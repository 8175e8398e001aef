"""The launcher as kubelet runs it: a process of its own. Courier: a thread of the test at a real socket."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from shipway.runtime import launch

LAUNCHER = Path(launch.__file__)
REFERENCE = "registry.local/outputs@sha256:" + "a" * 64


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    told: dict[str, object]
    out: str
    error: str


@dataclass(slots=True)
class Pod:
    """The container's files."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> Path:
        return self.folder / "termination-log"

    @property
    def socket(self) -> Path:
        return self.folder / "courier.sock"

    def start(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """As a file, isolated (-I): nothing of Shipway can be imported."""
        self.message.touch()
        words = [sys.executable, "-I", str(LAUNCHER), "--message", str(self.message), *options, "--", *command]
        environment = {"PATH": os.environ["PATH"], **self.environment}
        return subprocess.Popen(
            words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder
        )

    def ended(self, process: subprocess.Popen[str]) -> Ended:
        out, error = process.communicate(timeout=30)
        text = self.message.read_text()
        return Ended(process.returncode, json.loads(text) if text else {}, out, error)

    def run(self, *command: str, options: tuple[str, ...] = ()) -> Ended:
        return self.ended(self.start(*command, options=options))


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@contextmanager
def courier(path: Path, *lives: list[object]) -> Iterator[list[bytes]]:
    """One that answers each connection with the lines of a life (or does what stands there), and closes it: it died, or
    has said all."""
    asked: list[bytes] = []
    listening = socket(AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        for life in lives:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    asked.append(connection.recv(4096))
                    for line in life:
                        if callable(line):
                            line()
                        else:
                            connection.sendall(json.dumps(line).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        with suppress(OSError), socket(AF_UNIX) as last:
            last.connect(str(path))  # whoever still waits for a connection has one
        thread.join()
        listening.close()


def wait_for(path: Path) -> None:
    give_up = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < give_up, f"{path} never came"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("true",), 0, {"exitCode": 0}),
        (("sh", "-c", "exit 42"), 42, {"exitCode": 42}),
        (("sh", "-c", "kill -9 $$"), 137, {"exitCode": 137, "signal": 9}),
        (("sh", "-c", "kill -SEGV $$"), 139, {"exitCode": 139, "signal": 11}),
        (("no-such-program",), 127, {"exitCode": 127}),
        (("/",), 126, {"exitCode": 126}),
    ],
)
def test_exit_codes_and_signals(pod: Pod, command: tuple[str, ...], code: int, told: dict[str, object]) -> None:
    ended = pod.run(*command)
    assert (ended.code, ended.told) == (code, told)


def test_what_cannot_be_started_is_said_on_the_last_line(pod: Pod) -> None:
    assert pod.run("no-such-program").error == "shipway: no-such-program cannot be started: No such file or directory\n"


def test_output_goes_through_and_the_output_folder_is_there(pod: Pod) -> None:
    pod.environment["SHIPWAY_OUTPUT_DIR"] = str(pod.folder / "output")
    ended = pod.run("sh", "-c", 'echo out; echo err >&2; test -d "$SHIPWAY_OUTPUT_DIR"')
    assert (ended.code, ended.out, ended.error) == (0, "out\n", "err\n")


def test_the_command_keeps_its_own_dashes(pod: Pod) -> None:
    assert pod.run("echo", "--each", "--", "x").out == "--each -- x\n"


@pytest.mark.slow
def test_the_second_command_runs_after_success_and_its_end_says_nothing(pod: Pod) -> None:
    both = ("--afterwards", "sh -c 'echo \"and then\"; exit 3'")
    ended = pod.run("echo", "first", options=both)
    assert (ended.code, ended.out, pod.run("false", options=both).out) == (0, "first\nand then\n", "")


def test_the_courier_is_asked_after_success(pod: Pod) -> None:
    with courier(pod.socket, [{"alive": True}, {"output": REFERENCE}]) as asked:
        ended = pod.run("true", options=("--socket", str(pod.socket)))
    assert asked == [b'{"push": true}\n']
    assert (ended.code, ended.told) == (0, {"exitCode": 0, "output": REFERENCE})


@pytest.mark.parametrize("command", [("false",), ("sh", "-c", "exit 42")])
def test_and_not_after_a_failure(pod: Pod, command: tuple[str, ...]) -> None:
    with courier(pod.socket) as asked:
        ended = pod.run(*command, options=("--socket", str(pod.socket)))
    assert ended.code != 0 and "output" not in ended.told and asked == []


def test_a_courier_that_still_starts_is_waited_for_after_a_failure_too(pod: Pod) -> None:
    """The SIGTERM that it gets when this container ends is lost before it has a handler."""
    process = pod.start("sh", "-c", "touch here; exit 42", options=("--socket", str(pod.socket)))
    wait_for(pod.folder / "here")
    while not pod.message.read_bytes():
        time.sleep(0.01)
    assert process.poll() is None
    with courier(pod.socket):
        assert pod.ended(process).told == {"exitCode": 42}


def test_but_not_for_ever(tmp_path: Path) -> None:
    assert not launch.listens(str(tmp_path / "nobody"), patience=0.01)


@pytest.mark.slow
def test_other_replicas_push_nothing_unless_each_one_does(pod: Pod) -> None:
    pod.environment["SHIPWAY_REPLICA_INDEX"] = "3"
    options = ("--socket", str(pod.socket), "--afterwards", "echo afterwards")
    with courier(pod.socket) as asked:
        ended = pod.run("true", options=options)
    assert (ended.told, ended.out, asked) == ({"exitCode": 0}, "", [])
    pod.socket.unlink()
    with courier(pod.socket, [{"output": REFERENCE}]):
        assert pod.run("true", options=(*options, "--each")).told["output"] == REFERENCE


def test_a_job_without_files_succeeds_without_an_output(pod: Pod) -> None:
    with courier(pod.socket, [{"output": ""}]):
        assert pod.run("true", options=("--socket", str(pod.socket))).told == {"exitCode": 0}


def test_a_failed_push_fails_the_pod_with_a_clear_last_line(pod: Pod) -> None:
    with courier(pod.socket, [{"failed": "403 denied"}]):
        ended = pod.run("true", options=("--socket", str(pod.socket)))
    assert (ended.code, ended.told) == (74, {"exitCode": 74, "failed": "403 denied"})
    assert ended.error == "shipway: the command succeeded, and its output could not be pushed: 403 denied\n"


@pytest.mark.thorough
def test_a_courier_that_dies_is_waited_for_and_asked_again(pod: Pod) -> None:
    process = pod.start("true", options=("--socket", str(pod.socket)))  # and none is there yet
    with courier(pod.socket, [{"alive": True}], [], [{"alive": True}, {"output": REFERENCE}]) as asked:
        assert pod.ended(process).told["output"] == REFERENCE
    assert len(asked) == 3


def test_a_courier_that_dies_again_and_again_fails_the_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_PAUSE", 0.0)
    lives: list[list[object]] = [[{"alive": True}]] * 8
    with courier(tmp_path / "socket", *lives):
        assert "died 8 times" in launch.push(str(tmp_path / "socket"))["failed"]


def test_a_courier_that_never_comes_fails_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_PAUSE", 0.0)
    assert "no courier answered" in launch.push(str(tmp_path / "nobody"), patience=0.01)["failed"]


def test_one_that_speaks_nonsense_or_nothing_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_PAUSE", 0.0)
    with courier(tmp_path / "socket", ["text"], [["a list"]], [], [{"output": REFERENCE}]):
        assert launch.push(str(tmp_path / "socket")) == {"output": REFERENCE}


STUBBORN = "trap 'echo told' TERM; touch here; while :; do sleep 0.05; done"


@pytest.mark.slow
def test_sigterm_reaches_all_of_the_command_and_its_own_exit_code_counts(pod: Pod) -> None:
    process = pod.start("sh", "-c", "trap 'echo told; exit 9' TERM; touch here; while :; do sleep 0.05; done")
    wait_for(pod.folder / "here")
    process.send_signal(signal.SIGTERM)
    ended = pod.ended(process)
    assert (ended.code, ended.out) == (9, "told\n")


@pytest.mark.thorough
def test_one_that_does_not_end_is_killed_after_the_grace_period(pod: Pod) -> None:
    process = pod.start("sh", "-c", STUBBORN, options=("--grace", "0.3"))
    wait_for(pod.folder / "here")
    process.send_signal(signal.SIGTERM)
    ended = pod.ended(process)
    assert (ended.code, ended.told, ended.out) == (137, {"exitCode": 137, "signal": 9}, "told\n")


@pytest.mark.slow
def test_one_that_was_stopped_in_good_order_has_not_succeeded(pod: Pod) -> None:
    """Half a training must not become a version."""
    stop = "trap 'exit 0' TERM; touch here; while :; do sleep 0.05; done"
    with courier(pod.socket):
        process = pod.start("sh", "-c", stop, options=("--socket", str(pod.socket)))
        wait_for(pod.folder / "here")
        process.send_signal(signal.SIGTERM)
        ended = pod.ended(process)
    assert (ended.code, ended.told) == (143, {"exitCode": 143, "signal": 15})
    assert "its output is not taken" in ended.error


def test_sigterm_while_the_output_is_pushed_changes_nothing(pod: Pod) -> None:
    process = pod.start("true", options=("--socket", str(pod.socket)))
    with courier(pod.socket, [lambda: process.send_signal(signal.SIGTERM), {"alive": True}, {"output": REFERENCE}]):
        ended = pod.ended(process)
    assert (ended.code, ended.told) == (0, {"exitCode": 0, "output": REFERENCE})


@pytest.mark.thorough
def test_what_the_command_left_behind_is_ended_and_reaped(pod: Pod) -> None:
    """It would go on writing into the output."""
    ended = pod.run("sh", "-c", "(sleep 1000 & echo $! > orphan) & wait; exit 0")
    orphan = int((pod.folder / "orphan").read_text())
    assert ended.code == 0
    give_up = time.monotonic() + 10
    with suppress(ProcessLookupError):
        while "Z" not in Path(f"/proc/{orphan}/stat").read_text().rpartition(")")[2].split()[0]:
            os.kill(orphan, 0)
            assert time.monotonic() < give_up
            time.sleep(0.01)


@pytest.mark.thorough
def test_as_process_1_it_reaps_orphans(pod: Pod) -> None:
    """A subreaper gets orphans as process 1 of a container does, and stays one when it becomes another program."""
    script = "for i in 1 2 3; do (setsid sh -c 'exit 7' &) ; done; sleep 0.3; grep -l '^State:.Z' /proc/*/status"
    owned = f'{script} 2>/dev/null | xargs -r grep -l "^PPid:.$PPID$"; exit 42'
    become = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-c", become, sys.executable, "-I", str(LAUNCHER), "--message", str(pod.message)]
    done = subprocess.run([*words, "--", "sh", "-c", owned], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (42, "")


def test_the_message_is_never_longer_than_kubelet_reads() -> None:
    for text in ("x" * 10_000, "ü" * 10_000, '"' * 10_000):
        data = launch.message(launch.End(74), failed=text, output="y")
        assert len(data) <= launch.LARGEST_MESSAGE and json.loads(data)["failed"][:2] == text[:2]


def test_a_message_that_cannot_be_written_fails_nothing(pod: Pod) -> None:
    process = pod.start("true", options=("--message", "/no/such/file"))
    assert process.wait(timeout=30) == 0
    assert "cannot be written" in pod.ended(process).error


def test_it_is_a_file_of_its_own_that_old_pythons_read() -> None:
    tree = ast.parse(LAUNCHER.read_text(), feature_version=(3, 8))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names
