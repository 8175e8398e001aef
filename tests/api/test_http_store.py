"""The store's contract over HTTP: HttpStore, a served API, SQLite behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shipway.client import HubClient
from shipway.errors import HubUnreachable, NotFound
from shipway.kinds import Model
from shipway.ports import Store
from shipway.store.http import HttpStore
from shipway.store.notifying import NotifyingStore
from shipway.store.sqlite import SqliteStore
from shipway.testing.store import STORE_CHECKS
from tests.api.served_hub import Hub


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Store], None], hub: Hub, tmp_path: Path) -> None:
    behind = NotifyingStore(SqliteStore(tmp_path / "store.db", lambda: datetime.now(UTC)))
    hub.use(behind)
    store = HttpStore(hub.client)
    check(store)
    store.close()
    behind.close()


def test_old_versions_are_not_found(hub: Hub, tmp_path: Path) -> None:
    behind = NotifyingStore(SqliteStore(tmp_path / "store.db", lambda: datetime.now(UTC), retention=2))
    hub.use(behind)
    for name in "abc":
        behind.put(Model.model_validate({"metadata": {"name": name}}))
    with pytest.raises(NotFound, match="List again"):
        list(HttpStore(hub.client).watch(0))
    behind.close()


def test_without_a_hub(tmp_path: Path) -> None:
    with pytest.raises(HubUnreachable):
        HttpStore(HubClient(tmp_path / "hub.sock")).list()
