"""Homes as fixtures, and the marks that all tests of the whole product carry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.home import Home, fresh_home

# What `make test` runs of these: the main job, and that no edit costs a request. It has five minutes for everything.
PLAIN_FILES = {"test_up.py"}
PLAIN_TESTS = {
    "test_new_training_code_is_a_new_version_and_not_one_request_fails",
    "test_broken_training_code_shows_the_traceback_and_version_1_serves_on",
}


# A cluster with nodes is nothing that a machine has by chance: whoever has one says so.
collect_ignore = [] if os.environ.get("SHIPWAY_E2E") == "1" else ["test_kubernetes.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)
            if item.path.name not in PLAIN_FILES and item.name not in PLAIN_TESTS:
                item.add_marker(pytest.mark.thorough)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(120))


@pytest.fixture
def home() -> Iterator[Home]:
    """A home for one test."""
    with fresh_home() as made:
        yield made


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Home]:
    """A home for the tests of a module: each uses names of its own."""
    with fresh_home() as made:
        yield made
