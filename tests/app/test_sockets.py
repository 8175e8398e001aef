"""The folder for sockets of a home with a long path: in /tmp, where others may have been before us."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.errors import Refused
from shipway.home import own_sockets
from shipway.settings import Settings


@pytest.fixture
def far(tmp_path: Path) -> Settings:
    return Settings(tmp_path / ("far-" * 30), temporary=tmp_path)


def test_nobody_else_may_enter(far: Settings) -> None:
    far.sockets.mkdir(parents=True, mode=0o755)
    own_sockets(far)
    for folder in (far.sockets, far.sockets.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_a_link_that_somebody_prepared_is_refused(far: Settings, tmp_path: Path, which: str) -> None:
    trap = far.sockets if which == "inner" else far.sockets.parent
    trap.parent.mkdir(exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    trap.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="another user's or not a folder"):
        own_sockets(far)
