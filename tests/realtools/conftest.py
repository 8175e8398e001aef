"""One home and one set of images for the whole session, whichever worker needs one first; a sandbox for each worker."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realtools.images import Images
from tests.realtools.podman import Podman
from tests.realtools.sandbox import missing, sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.realtool)
            item.add_marker(pytest.mark.slow)
            # The first test that needs an image waits until it is built, maybe by another worker.
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Built by ``shipway build`` when they are first asked for, on a Debian of mmdebstrap's; for all workers."""
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed")
    own = tmp_path_factory.getbasetemp()
    # A worker's folder lies in the session's own one.
    return Images((own.parent if own.name.startswith("popen-") else own) / "images")


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    """With a storage that no other worker sees."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    # /var/tmp: on many machines /tmp is memory, on which no overlay can stand.
    folder = Path(tempfile.mkdtemp(prefix="shipway-test-", dir="/var/tmp"))
    try:
        with sandbox(folder / "sandbox") as made:
            yield Podman(made)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
