"""A home for each example, and what its service answers to rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.home import Home, fresh_home


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home for the tests of one example."""
    with fresh_home() as made:
        yield made
