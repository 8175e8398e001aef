"""Which limits can be kept: trees of version 1, version 2, read-only and none; and the real thing where we may."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shipway.cluster.local.supervisor import cgroups
from shipway.cluster.local.supervisor.cgroups import Cgroup, detect, unenforced

MEBI = 2**20


def tree(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


V1 = {"cpu/cgroup.procs": "1\n", "memory/cgroup.procs": "1\n"}
V2 = {
    "cgroup.controllers": "cpuset cpu io memory\n",
    "cgroup.procs": "1\n",
    "cgroup.subtree_control": "\n",
}


def test_version_1(tmp_path: Path) -> None:
    support = detect(tree(tmp_path, V1))
    assert (support.version, support.missing) == (1, {})
    assert support.folders == {"cpu": f"{tmp_path}/cpu", "memory": f"{tmp_path}/memory"}
    one = Cgroup(support, "shipway-x", "web-0")
    assert one.create({"cpu": 0.5, "memory": 64 * MEBI}) == {}
    assert (tmp_path / "cpu/shipway-x/web-0/cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / "memory/shipway-x/web-0/memory.limit_in_bytes").read_text() == str(64 * MEBI)
    one.add(4242)
    assert one.processes() == [4242]
    (tmp_path / "memory/shipway-x/web-0/memory.oom_control").write_text("oom_kill_disable 0\noom_kill 2\n")
    assert one.oom_kills() == 2


def test_version_2(tmp_path: Path) -> None:
    support = detect(tree(tmp_path, V2), own="0::/")
    assert (support.version, support.missing) == (2, {})
    one = Cgroup(support, "shipway-x", "web-0")
    assert one.create({"cpu": 1.5, "memory": 64 * MEBI}) == {}
    assert (tmp_path / "shipway-x/web-0/cpu.max").read_text() == "150000 100000"
    assert (tmp_path / "shipway-x/web-0/memory.max").read_text() == str(64 * MEBI)
    assert (tmp_path / "shipway-x/cgroup.subtree_control").read_text().startswith("+")
    (tmp_path / "shipway-x/web-0/memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert one.oom_kills() == 1


def test_version_2_in_a_delegated_cgroup(tmp_path: Path) -> None:
    mine = "user.slice/me"
    files = {**V2, **{f"{mine}/{name}": text for name, text in V2.items()}, f"{mine}/cgroup.type": "domain\n"}
    own = f"0::/{mine}\n"
    busy = detect(tree(tmp_path, files), own=own, writable=lambda path: path.endswith("/me"))
    assert busy.folders == {}
    assert "has processes of its own" in busy.missing["cpu"]
    files[f"{mine}/cgroup.subtree_control"] = "memory\n"
    passed_on = detect(tree(tmp_path, files), own=own, writable=lambda path: path.endswith("/me"))
    assert passed_on.folders == {"memory": f"{tmp_path}/{mine}"}


def test_version_1_in_our_own_cgroup(tmp_path: Path) -> None:
    root = tree(tmp_path, {**V1, "memory/box/cgroup.procs": "", "cpu/box/cgroup.procs": ""})
    own = "4:memory:/box\n3:cpu,cpuacct:/box\n"
    support = detect(root, own=own, writable=lambda path: path.endswith("/box"))
    assert support.folders == {"cpu": f"{root}/cpu/box", "memory": f"{root}/memory/box"}


def test_read_only(tmp_path: Path) -> None:
    support = detect(tree(tmp_path, V1), writable=lambda path: False)
    assert support.folders == {}
    assert unenforced({"cpu": None, "memory": 64 * MEBI}, support.missing) == [
        f"memory limit 64Mi is not enforced: {tmp_path}/memory is not writable for this user"
    ]


def test_a_controller_is_missing(tmp_path: Path) -> None:
    one = detect(tree(tmp_path / "1", {"cpu/cgroup.procs": ""}))
    assert list(one.folders) == ["cpu"]
    assert "no cgroup controller memory" in one.missing["memory"]
    two = detect(tree(tmp_path / "2", {**V2, "cgroup.controllers": "cpu"}))
    assert list(two.folders) == ["cpu"]
    assert "does not have the cgroup controller memory" in two.missing["memory"]


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    support = detect(str(tmp_path))
    assert support.folders == {}
    one = Cgroup(support, "shipway-x", "web-0")
    assert one.create({"cpu": 1.0, "memory": 1.0}) == {}
    one.add(1)
    one.kill()
    assert (one.processes(), one.oom_kills(), one.remove()) == ([], 0, True)
    assert unenforced({"cpu": 0.5, "memory": None}, support.missing)[0].startswith("cpu limit 0.5 is not enforced: ")


def test_a_limit_that_the_kernel_refuses_is_said(tmp_path: Path) -> None:
    root = tree(tmp_path, {**V1, "memory/shipway-x": "a file where a folder should be"})
    refused = Cgroup(detect(root), "shipway-x", "web-0").create({"cpu": None, "memory": 1.0})
    assert list(refused) == ["memory"]


REAL = detect(own=cgroups.membership())


@pytest.mark.slow
@pytest.mark.skipif("memory" not in REAL.folders, reason=f"no writable memory cgroup: {REAL.missing.get('memory')}")
def test_a_real_cgroup_holds_and_kills_a_process() -> None:
    one = Cgroup(REAL, f"shipway-test-{os.getpid()}", "p-0")
    assert one.create({"cpu": 0.5, "memory": 64.0 * MEBI}) == {}
    pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "600")
    one.add(pid)
    assert one.processes() == [pid]
    assert not one.remove()
    one.kill()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
    give_up = time.monotonic() + 2
    while not one.remove() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert one.remove()
