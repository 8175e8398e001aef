"""What the operating system knows of this process, under the names that every Prometheus client uses. Linux.

Source: Prometheus, "Writing client libraries", process metrics; proc(5).
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from shipway.runtime.server.observe.exposition import Family, Page

CPU = Family("process_cpu_seconds_total", "counter", "User and system CPU time.")
RESIDENT = Family("process_resident_memory_bytes", "gauge", "Resident memory size.")
VIRTUAL = Family("process_virtual_memory_bytes", "gauge", "Virtual memory size.")
STARTED = Family("process_start_time_seconds", "gauge", "When the process began, in seconds since 1970.")
OPEN_FILES = Family("process_open_fds", "gauge", "Open file descriptors.")
MOST_FILES = Family("process_max_fds", "gauge", "How many file descriptors may be open.")

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STARTED_FIELD = 19  # of /proc/self/stat, counted after the command's name: starttime, in ticks after the boot


def render(page: Page) -> None:
    """The lines of this process; where there is no /proc only what POSIX gives."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    page.add(CPU, used.ru_utime + used.ru_stime)
    page.add(MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    try:
        virtual, resident = (_PROC / "self/statm").read_text().split()[:2]
        page.add(RESIDENT, int(resident) * _PAGE)
        page.add(VIRTUAL, int(virtual) * _PAGE)
        page.add(OPEN_FILES, sum(1 for _ in (_PROC / "self/fd").iterdir()) - 1)  # not the one that lists them
        page.add(STARTED, _boot() + _started_after_boot())
    except (OSError, StopIteration):
        return


def born() -> float:
    """When this process began (the interpreter's own start counts), of ``time.monotonic()``; now, where nobody can
    tell."""
    try:
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - _started_after_boot()
    except (AttributeError, OSError):
        age = 0.0
    return time.monotonic() - age


def _started_after_boot() -> float:
    after_name = (_PROC / "self/stat").read_text().rpartition(")")[2].split()
    return int(after_name[_STARTED_FIELD]) / _TICKS


def _boot() -> float:
    lines = (_PROC / "stat").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("btime ")))
