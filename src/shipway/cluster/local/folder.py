"""The folder of one workload: what lies where, and reading and writing it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.bundle import Workload
from shipway.cluster.local.supervisor.durable import read_json, sync_folder, write_json

_REMOVED = ".removed-"


@dataclass(frozen=True, slots=True)
class Folder:
    """``workload.json`` (what is wanted) comes first and ``plan.json`` when all is prepared; a ``deleted`` file
    says that the whole is to go. ``status.json`` and ``supervisor.json`` are the supervisor's."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def data(self) -> Path:
        """What a server keeps over restarts (the prediction log); its own to make."""
        return self.path / "data"

    @property
    def deleted(self) -> bool:
        return (self.path / "deleted").exists()

    def log(self, replica: int) -> Path:
        """The newest log file of a replica."""
        return self.logs / f"replica-{replica}.log"

    def mark_deleted(self) -> None:
        """From now on every hub that finds this folder removes it."""
        write_json(str(self.path / "deleted"), {})

    def read_workload(self) -> Workload | None:
        """What is wanted; None when the hub died before it was written."""
        document = read_json(str(self.path / "workload.json"))
        return Workload.from_json(document) if document else None

    def write_workload(self, workload: Workload) -> None:
        """Write it durably, making the folder."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        sync_folder(str(self.path.parent))
        write_json(str(self.path / "workload.json"), workload.to_json())

    def read(self, file: Path) -> dict[str, Any] | None:
        """A JSON file of the folder, None when it is missing or broken."""
        return read_json(str(file))

    def write(self, file: Path, document: dict[str, Any]) -> None:
        """Write a JSON file durably."""
        write_json(str(file), document)

    def supervisor(self) -> tuple[int, int] | None:
        """Pid and start time of the supervisor that has, or had, this workload."""
        document = read_json(str(self.path / "supervisor.json"))
        return (document["pid"], document["start_time"]) if document else None

    def remove(self) -> None:
        """Out of sight with one rename, then gone; a crash in between leaves only what :func:`sweep` removes."""
        if self.path.exists():
            grave = Path(tempfile.mkdtemp(prefix=_REMOVED, dir=self.path.parent))
            self.path.rename(grave / self.name)
            _remove_tree(grave)


def sweep(root: Path) -> list[Folder]:
    """Finish removals that a crash cut short; the folders of workloads, sorted by name."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for grave in root.glob(f"{_REMOVED}*"):
        _remove_tree(grave)
    return [Folder(path) for path in sorted(root.iterdir()) if path.is_dir()]


def copy_writable(source: Path, target: Path) -> None:
    """Copy a read-only artifact so that the copy may be written; appears whole or not at all."""
    draft = target.with_suffix(".draft")
    _remove_tree(draft)
    shutil.copytree(source, draft, symlinks=True)
    _make_writable(draft)
    draft.rename(target)


def _remove_tree(path: Path) -> None:
    if path.exists():
        _make_writable(path)  # user code may leave read-only folders behind
        shutil.rmtree(path, ignore_errors=True)


def _make_writable(path: Path) -> None:
    path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IRWXU)
    for parent, folders, files in os.walk(path):
        for entry, needed in [*((one, stat.S_IRWXU) for one in folders), *((one, stat.S_IWUSR) for one in files)]:
            item = Path(parent, entry)
            if not item.is_symlink():
                item.chmod(stat.S_IMODE(item.lstat().st_mode) | needed)
