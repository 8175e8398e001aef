"""What a hub that could not serve tells the commands."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shipway import home, hub_process
from shipway.errors import Corrupt, EnvironmentFault
from shipway.settings import Settings

DAMAGED = Corrupt("store.db is damaged", next_step="repair it")


@contextmanager
def another_user() -> Iterator[None]:
    """As root we become nobody; as anybody else a closed folder is closed to us anyway."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def write(where: Settings) -> str:
    """A program that leaves the error and ends as a hub does."""
    return f"open({str(where.hub_failure)!r}, 'w').write({json.dumps(DAMAGED.to_json())!r}); raise SystemExit(5)"


def test_the_error_of_a_hub_reaches_the_command(tmp_path: Path) -> None:
    where = Settings(tmp_path)
    with pytest.raises(Corrupt, match=r"store\.db is damaged") as error:
        hub_process.ensure(where, argv=(sys.executable, "-c", write(where)))
    assert error.value.next_step == "repair it"


def test_an_old_error_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    where = Settings(tmp_path)
    where.hub_failure.write_text(json.dumps(DAMAGED.to_json()))
    with pytest.raises(EnvironmentFault, match="something else"):
        hub_process.ensure(where, argv=(sys.executable, "-c", "import sys; sys.exit('something else')"))


def test_it_is_left_by_an_error_and_removed_by_the_next_start(tmp_path: Path) -> None:
    where = Settings(tmp_path)
    with pytest.raises(Corrupt), home.failure_told(where):
        raise DAMAGED
    told = hub_process.failure(where)
    assert isinstance(told, Corrupt)
    assert told.message == DAMAGED.message
    with home.failure_told(where):
        assert hub_process.failure(where) is None


@pytest.mark.parametrize("content", ["", "rubbish", "[]", "null"])
def test_rubbish_is_no_error(tmp_path: Path, content: str) -> None:
    where = Settings(tmp_path)
    where.hub_failure.write_text(content)
    assert hub_process.failure(where) is None


def test_the_home_of_another_user_is_called_so_and_not_taken_for_one_without_a_hub(tmp_path: Path) -> None:
    where = Settings(tmp_path / "home")
    where.home.mkdir(mode=0o000)
    with another_user():
        for act in (hub_process.status, hub_process.ensure, hub_process.stop):
            with pytest.raises(EnvironmentFault, match=r"is closed to user .* another user's") as error:
                act(where)
            assert "SHIPWAY_HOME" in error.value.next_step
        with pytest.raises(EnvironmentFault, match="is closed to user"):
            hub_process.recover(where, "repair")
    where.home.chmod(0o700)
