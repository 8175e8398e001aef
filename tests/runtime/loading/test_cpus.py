"""How many threads a call gets: what the environment says, the affinity, and the control groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.runtime.server.loading.cpus import quota, threads


def _groups(tmp_path: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        path = tmp_path / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "membership").write_text(membership)
    return tmp_path / "cgroup", tmp_path / "membership"


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../elsewhere\n", {"cpu.max": "100000 100000\n"}, 1.0),
        ("0::/\n", {"cpu.max": "300000 100000\n"}, 3.0),
        ("0::/\n", {"cpu.max": "nonsense\n"}, float("inf")),
        ("0::/\n", {}, float("inf")),
        (
            "4:cpu,cpuacct:/x\n3:memory:/y\n",
            {"cpu/x/cpu.cfs_quota_us": "250000\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        ("4:cpu:/x\n", {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, float("inf")),
    ],
)
def test_the_smallest_quota_above_us_counts(
    tmp_path: Path, membership: str, files: dict[str, str], cores: float
) -> None:
    assert quota(*_groups(tmp_path, membership, files)) == cores


def test_a_machine_without_control_groups_has_no_quota(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "missing") == float("inf")


def test_what_somebody_set_is_taken_as_it_is() -> None:
    assert threads(4, {"OMP_NUM_THREADS": "3"}) == 3
    for unusable in ("", "0", "-1", "4,2"):
        assert threads(10**6, {"OMP_NUM_THREADS": unusable}) == 1


def test_instances_share_the_cores() -> None:
    alone = threads(1, {})
    assert 1 <= alone <= len(os.sched_getaffinity(0))
    assert threads(2, {}) == max(1, alone // 2)
