"""What holds for every test: a home of its own, no process left behind, and no silent skip in CI."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

MARK = "SHIPWAY_TEST_SESSION"

# The one thing that no package registry has: Kubernetes' own test binaries, which only some machines carry.
ALLOWED_SKIPS = ("KUBEBUILDER_ASSETS",)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests never see the developer's home or hub; every child process carries the session's mark."""
    mark = uuid.uuid4().hex
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job; children would ignore it, too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SHIPWAY_")]:
            if name != "SHIPWAY_REQUIRE_TOOLS":
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv(MARK, mark)
        yield
    left = _end_processes_of(mark)
    if left:
        pytest.fail("processes were left behind:\n" + "\n".join(left), pytrace=False)


def _end_processes_of(mark: str) -> list[str]:
    """Kill every process that still carries the mark after a moment's grace; their command lines."""
    give_up = time.monotonic() + 3.0
    while (found := _settled_carriers(mark)) and time.monotonic() < give_up:
        time.sleep(0.05)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return [f"{pid}: {command}" for pid, command in found.items()]


def _settled_carriers(mark: str) -> dict[int, str]:
    """None only when a second look agrees: in the middle of its exec a process shows no environment."""
    if not (found := _carriers(mark)):
        time.sleep(0.05)
        found = _carriers(mark)
    return found


def _carriers(mark: str) -> dict[int, str]:
    found = {}
    needle = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.name != str(os.getpid()) and needle in (folder / "environ").read_bytes():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if command:  # a zombie has none: its parent is this session, and reaps it in its own time
                    found[int(folder.name)] = command
        except OSError:  # it ended, or is another user's
            continue
    return found


def _must_not_skip(reason: str) -> bool:
    return os.environ.get("SHIPWAY_REQUIRE_TOOLS") == "1" and not any(one in reason for one in ALLOWED_SKIPS)


def _skip_to_failure(report: Report) -> Report:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if _must_not_skip(reason):
            report.outcome = "failed"
            report.longrepr = f"SHIPWAY_REQUIRE_TOOLS=1 allows no skip, and this was one: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _skip_to_failure((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _skip_to_failure((yield))
