"""What a hub that could not serve tells the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from shipway import home, hub_process
from shipway.errors import Corrupt, EnvironmentFault
from shipway.settings import Settings

DAMAGED = Corrupt("store.db is damaged", next_step="repair it")


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
