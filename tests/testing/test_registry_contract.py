"""The fake keeps the contract that a real registry keeps, with each of its quirks that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipway.testing.registry import FakeRegistry, Quirks
from shipway.testing.registry_suite import Deviation, check_registry
from tests.testing.docker_registry import docker_registry


@contextmanager
def the_same(url: str) -> Iterator[str]:
    yield url


@pytest.mark.slow
@pytest.mark.parametrize(
    "quirks, deviations",
    [
        pytest.param(Quirks(), (), id="plain"),
        pytest.param(Quirks(location="relative", warning="the plan ends soon"), (), id="relative"),
        pytest.param(Quirks(referrers=False), (Deviation.NO_REFERRERS,), id="no-referrers"),
        pytest.param(Quirks(deletes=False), (Deviation.NO_DELETES,), id="no-deletes"),
        pytest.param(Quirks(keeps_broken_chunks=False), (Deviation.LOSES_BROKEN_CHUNKS,), id="loses-broken-chunks"),
        pytest.param(Quirks(single_post=False), (Deviation.NO_SINGLE_POST,), id="no-single-post"),
    ],
)
def test_the_fake(quirks: Quirks, deviations: tuple[Deviation, ...]) -> None:
    with FakeRegistry(quirks) as registry:
        check_registry(lambda: the_same(registry.url), deviations)


@pytest.mark.slow
def test_the_fake_with_its_contents_in_a_folder(tmp_path: Path) -> None:
    with FakeRegistry(folder=tmp_path) as registry:
        check_registry(lambda: the_same(registry.url))


DEBIAN_2_8 = (
    Deviation.CUTS_416,
    Deviation.LOSES_BROKEN_CHUNKS,
    Deviation.NO_CHUNK_ORDER,
    Deviation.NO_REFERRERS,
    Deviation.NO_SINGLE_POST,
    Deviation.NO_TAG_DELETES,
)


@pytest.mark.slow
@pytest.mark.realtool
@pytest.mark.parametrize("deletes", [True, False])
def test_docker_registry_of_debian(tmp_path: Path, deletes: bool) -> None:
    deviations = DEBIAN_2_8 if deletes else (*DEBIAN_2_8, Deviation.NO_DELETES)
    with docker_registry(tmp_path, deletes=deletes) as registry:
        check_registry(lambda: the_same(registry.url), deviations)


def test_a_registry_that_no_longer_deviates_is_noticed() -> None:
    with FakeRegistry() as registry, pytest.raises(AssertionError):
        check_registry(lambda: the_same(registry.url), (Deviation.NO_SINGLE_POST,))
