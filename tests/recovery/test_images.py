"""Images in a home: made without a hub, so they prove nothing of one, and whoever makes them is not disturbed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shipway import home, settings
from shipway.building.place import Place
from shipway.oci import Layout
from shipway.recovery.lost import check_nothing_lost, lost
from shipway.settings import Settings
from tests.recovery.homes import made


def test_the_layout_of_who_built_before_any_hub_is_no_lost_home(tmp_path: Path) -> None:
    where = Settings(tmp_path / "home", temporary=tmp_path)
    assert Place(where).cache.parent.is_dir()
    assert Place(where).layout.tags() == {}
    assert where.home.stat().st_mode & 0o777 == 0o700
    home.own(where)
    check_nothing_lost(where)


def test_a_layout_that_is_lost_is_missed_all_the_same(tmp_path: Path) -> None:
    where = made(tmp_path)
    (where.oci / "oci-layout").unlink()
    assert lost(where) == [(where.oci / "oci-layout", where.gateway / "port")]


@pytest.mark.slow
@pytest.mark.parametrize("act", ["encrypt", "repair"])
def test_a_home_in_which_somebody_builds_stays_as_it_is(
    tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = made(tmp_path)
    monkeypatch.setenv("SHIPWAY_HOME", str(where.home))
    command = [sys.executable, "-m", "shipway.recovery", act]
    with Layout(where.oci).lease("build digits"):
        done = subprocess.run(
            command, env=settings.inherited(), stdout=subprocess.PIPE, timeout=30, check=False, text=True
        )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].endswith(f"works on {where.oci}: build digits")
    assert Layout(where.oci).leases.running() == ()
