"""The contract suite on the stores that live in this process; test_http_store.py has the third."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.ports import Store
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore
from shipway.testing.store import STORE_CHECKS, FakeStore, check_store


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=["fake", "sqlite", "notifying"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractContextManager[Store]]:
    made: list[Path] = []

    def fresh() -> Store:
        if request.param == "fake":
            return FakeStore(now)
        made.append(tmp_path / f"{len(made)}.db")
        sqlite = SqliteStore(made[-1], now)
        return sqlite if request.param == "sqlite" else NotifyingStore(sqlite)

    return lambda: closing(fresh())


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Store], None], make: Callable[[], AbstractContextManager[Store]]) -> None:
    with make() as store:
        check(store)


def test_check_store_gives_every_check_its_own_store() -> None:
    made: list[FakeStore] = []

    @contextmanager
    def fresh() -> Iterator[Store]:
        made.append(FakeStore(now))
        yield made[-1]

    check_store(fresh)
    assert len(made) == len(STORE_CHECKS)
