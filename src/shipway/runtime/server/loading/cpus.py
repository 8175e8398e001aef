"""How many threads one call of a model may use: what this process was given, not what the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def threads(instances: int, environ: Mapping[str, str] | None = None) -> int:
    """At least 1: ``OMP_NUM_THREADS`` where somebody set it, else this process's cores, shared by ``instances``."""
    said = (os.environ if environ is None else environ).get("OMP_NUM_THREADS", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    return max(1, int(min(len(os.sched_getaffinity(0)), quota())) // instances)


def limit_blas(count: int) -> None:
    """Keep NumPy's and SciPy's own threads to ``count``: they look at the affinity and know nothing of quotas."""
    if count < len(os.sched_getaffinity(0)):
        with suppress(ImportError):  # scikit-learn brings it; what does without has no use for it
            import_module("threadpoolctl").threadpool_limits(count)


def quota(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float:
    """Cores that the control groups above this process allow; infinity where none of them says.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html "cpu.max", and of version 1 sched-bwc.html.
    """
    return min((cores for group in _groups(root, membership) if (cores := _cores(group))), default=float("inf"))


def _groups(root: Path, membership: Path) -> Iterator[Path]:
    """The group of this process and those above it, in both versions' hierarchies; ``root`` itself always is one."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:  # not Linux
        return
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "cpu" if controllers else root
        own = top / path.strip("/")
        yield from [own, *(one for one in own.parents if one.is_relative_to(top))]


def _cores(group: Path) -> float | None:
    try:
        if (group / "cpu.max").is_file():
            limit, period = (group / "cpu.max").read_text().split()
        else:
            limit, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(limit) / int(period) if limit.strip() not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
