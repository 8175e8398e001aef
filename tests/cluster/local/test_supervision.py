"""Which process is meant by a pid on record, when its number is another's by now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from shipway.cluster.local import supervision
from shipway.cluster.local.folder import Folder
from shipway.cluster.local.supervisor import identity
from shipway.cluster.local.supervisor.durable import write_json


@pytest.fixture
def ours() -> int:
    started = identity.start_time(os.getpid())
    assert started is not None
    return started


def replica(start_time: int, **changes: Any) -> dict[str, Any]:
    one = {"index": 0, "phase": "Ready", "pid": os.getpid(), "start_time": start_time, "pipes": [1, 2]}
    return {**one, **changes}


def test_a_supervisor_whose_pid_is_a_strangers_does_not_live(tmp_path: Path, ours: int) -> None:
    folder = Folder(tmp_path)
    write_json(str(tmp_path / "supervisor.json"), {"pid": os.getpid(), "start_time": ours - 1})
    assert not supervision.alive(folder)
    supervision.kill(folder)  # we are the stranger, and still here
    write_json(str(tmp_path / "supervisor.json"), {"pid": os.getpid(), "start_time": ours})
    assert supervision.alive(folder)


def test_who_may_be_taken_over(ours: int) -> None:
    def orphans(mode: str, *replicas: dict[str, Any]) -> set[int]:
        return supervision.orphans({"mode": mode, "replicas": list(replicas)}, 1)

    assert orphans("server", replica(ours)) == {0}
    assert orphans("server", replica(ours - 1)) == set(), "the pid is a stranger's"
    assert orphans("job", replica(ours)) == set(), "its exit status would be lost"
    assert orphans("server", replica(ours, phase="Starting")) == set(), "nobody knows whether it would get ready"
    assert orphans("server", replica(ours, index=1)) == set(), "it is not wanted any more"
    unknown = replica(ours)
    del unknown["pipes"]
    assert orphans("server", unknown) == set(), "a supervisor of an earlier Shipway wrote no pipes"
