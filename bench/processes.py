"""The processes of one home, read from /proc: which they are, their memory, their CPU time, their ports."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["hub", "supervisor", "envoy", "replica"]
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a home."""

    pid: int
    command: str
    role: Role

    @property
    def pss(self) -> int:
        """Proportional set size in bytes: shared pages are divided among those who share them."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
        return int(match[1]) * 1024 if match else 0

    @property
    def cpu_seconds(self) -> float:
        """User and system time since it started (proc(5), stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def ports(self) -> list[int]:
        """TCP ports of IPv4 on which it listens."""
        inodes = set()
        for link in list(Path(f"/proc/{self.pid}/fd").iterdir()):
            with suppress(FileNotFoundError):  # closed since the folder was listed
                match = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
                if match:
                    inodes.add(match[1])
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sorted(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTEN and row[9] in inodes)


def role_of(command: str) -> Role:
    """Which part a command line plays."""
    words = command.split()
    program = Path(words[0]).name if words else ""
    if program.startswith("envoy"):
        return "envoy"
    if "supervisor" in command:
        return "supervisor"
    if "shipway.app" in command or re.search(r"\bshipway\S* hub\b|hub_process", command):
        return "hub"
    return "replica"


def of_home(home: Path) -> list[Process]:
    """Every process that has the home in its environment or on its command line, but this one and its parents."""
    needle = os.fsencode(home)
    mine = {os.getpid(), os.getppid()}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        try:
            command = (folder / "cmdline").read_bytes()
            belongs = needle in command or needle in (folder / "environ").read_bytes()
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if belongs and command and pid not in mine:
            text = command.replace(b"\0", b" ").decode(errors="replace").strip()
            found.append(Process(pid, text, role_of(text)))
    return found
