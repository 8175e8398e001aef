"""One real control plane for the whole run, whichever worker needs it first, and one of their own for tests that kill.

Where its programs are missing the tests say so and are skipped: the only skip that SHIPWAY_REQUIRE_TOOLS=1 allows
(see ALLOWED_SKIPS in tests/conftest.py). A test is ``realtool`` by asking for one of these fixtures.
"""

from __future__ import annotations

import fcntl
import gc
import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kubernetes.control_plane import CONTROLLERS, ControlPlane, missing

FIXTURES = {"control_plane", "own_control_plane", "full_control_plane"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and FIXTURES & set(getattr(item, "fixturenames", ())):
            for mark in (pytest.mark.realtool, pytest.mark.slow, pytest.mark.timeout(180)):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Shared by all workers of a run: 5 s and 300 MB once. Work in a namespace of your own; do not kill it."""
    if reason := missing():
        pytest.skip(reason)
    own = tmp_path_factory.getbasetemp()
    # A worker's folder lies in the session's own one.
    folder = (own.parent if own.name.startswith("popen-") else own) / "control-plane"
    with _shared(folder) as plane:
        yield plane


@pytest.fixture(scope="module")
def own_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A module's own, which may be killed and restarted."""
    if reason := missing():
        pytest.skip(reason)
    with ControlPlane(tmp_path_factory.mktemp("own-control-plane")) as plane:
        yield plane


@pytest.fixture(scope="module")
def full_control_plane(own_control_plane: ControlPlane) -> ControlPlane:
    """The module's own with controller manager and scheduler."""
    if reason := missing(*CONTROLLERS):
        pytest.skip(reason)
    own_control_plane.controllers()
    return own_control_plane


@contextmanager
def _shared(folder: Path) -> Iterator[ControlPlane]:
    """Started by who comes first, who also waits for the others to leave before they end it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "door").open("w") as door, (folder / "users").open("w") as users:
        fcntl.flock(door, fcntl.LOCK_EX)
        plane = _present(folder)
        mine = plane is None
        if plane is None:
            plane = ControlPlane(folder / f"plane-{time.monotonic_ns()}", shared=True)
            plane.start()
            (folder / "plane.json").write_text(json.dumps({"folder": str(plane.folder), "port": plane.port}))
        else:
            fcntl.flock(users, fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield plane
        finally:
            if mine:
                _close(door.fileno(), users.fileno())
                (folder / "plane.json").unlink()
                plane.stop()


def _present(folder: Path) -> ControlPlane | None:
    """The one that another worker runs; none where that worker has crashed, and its programs with it."""
    try:
        known = json.loads((folder / "plane.json").read_text())
    except FileNotFoundError:
        return None
    plane = ControlPlane.join(Path(known["folder"]), known["port"])
    return plane if plane.alive() else None


def _close(door: int, users: int) -> None:
    """Return with the door locked and no user inside."""
    while True:
        fcntl.flock(door, fcntl.LOCK_EX)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(door, fcntl.LOCK_UN)
            time.sleep(0.1)
        else:
            return


@pytest.fixture(autouse=True)
def _sockets_of_killed_servers(request: pytest.FixtureRequest) -> Iterator[None]:
    """A TLS connection that was being made to a server at the moment when it was killed may leave its socket to the
    garbage collection, once in some hundred kills; asyncio owns it by then. Collected here, it fails no other test."""
    yield
    if request.node.get_closest_marker("realtool") is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
