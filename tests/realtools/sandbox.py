"""Namespaces in which podman and buildah do all that they do to a machine, and which go with the one who made them.

Root is needed. What they mount, route, listen on and start lies in namespaces of its own (mounts, network, processes);
their storage is in the sandbox's folder; what they write below /run, /dev/shm and /var/lib is in memory. So nothing of
the machine is changed, several may run beside each other with the same addresses and names, and when the tests are
killed nothing runs on and nothing stays mounted. Only the control groups are the machine's; :func:`sandbox` removes
them.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

TOOLS = ("podman", "buildah", "runc", "netavark", "catatonit", "unshare", "nsenter", "ip")
# Debian's netavark stands where only podman looks.
_ELSEWHERE = (Path("/usr/lib/podman"), Path("/usr/libexec/podman"))
_CGROUPS = Path("/sys/fs/cgroup")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET, sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)

# The default limits are above what this machine's hard limits may be; crun refuses a machine with both cgroup versions.
_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
volume_path = "{folder}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/root"
runroot = "{folder}/runroot"
"""
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'  # signatures are not what is tested here

_HOLD = """\
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs none /dev/shm
mount -t overlay -o lowerdir=/var/lib,upperdir="$1/upper",workdir="$1/work" none /var/lib
ip link set lo up
echo ready
exec catatonit -P
"""


def missing() -> str:
    """Why there can be no sandbox here, empty when there can."""
    if os.geteuid() != 0:
        return "podman is run as root by these tests"
    for tool in TOOLS:
        if not shutil.which(tool) and not any((folder / tool).exists() for folder in _ELSEWHERE):
            return f"{tool} is not installed"
    return ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The namespaces of the process ``pid``; ``group`` is the control group of what runs in them."""

    folder: Path
    pid: int
    group: str

    def command(self, *words: str | Path) -> list[str]:
        """``words`` as a command that runs inside. Paths are those of the machine, and must be absolute."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--"]
        return [*inside, "env", *(f"{name}={value}" for name, value in self._variables().items()), *map(str, words)]

    def run(self, *words: str | Path, timeout: float = 60.0) -> str:
        """Run it to its end, which must be 0; its stdout."""
        done = self.ask(*words, timeout=timeout)
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, *words: str | Path, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever that is."""
        return subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def connection(self, port: int, timeout: float = 30.0) -> http.client.HTTPConnection:
        """HTTP to a port of the sandbox's loopback device."""
        return _Connection(self.pid, port, timeout)

    def memory(self, group: str) -> Path:
        """The folder of the memory controller for a group below the sandbox's."""
        v1 = _CGROUPS / "memory"
        return (v1 if v1.is_dir() else _CGROUPS) / self.group / group

    def _variables(self) -> Mapping[str, str]:
        return {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "TMPDIR": str(self.folder / "scratch"),
        }


class _Connection(http.client.HTTPConnection):
    """Its socket is made by a thread that steps into the namespace: a socket stays where it was made."""

    def __init__(self, pid: int, port: int, timeout: float) -> None:
        super().__init__("127.0.0.1", port, timeout=timeout)
        self._pid = pid

    def connect(self) -> None:
        made: list[socket.socket | OSError] = []

        def inside() -> None:
            try:
                with Path(f"/proc/{self._pid}/ns/net").open() as namespace:
                    if _LIBC.setns(namespace.fileno(), _NEW_NETWORK):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_connection((self.host, self.port), self.timeout))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        self.sock = made[0]


@contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """Namespaces with their storage in ``folder``, on a real disk: overlays cannot stand on every other kind."""
    for name in ("upper", "work", "scratch", "tmp", "networks", "volumes"):
        (folder / name).mkdir(parents=True)
    for name, text in (
        ("containers.conf", _CONTAINERS_CONF),
        ("storage.conf", _STORAGE_CONF),
        ("policy.json", _POLICY),
    ):
        (folder / name).write_text(text.replace("{folder}", str(folder)))
    death = ("setpriv", "--pdeathsig", "KILL")
    namespaces = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")
    command = [*death, *namespaces, "sh", "-c", _HOLD, "sh", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as holder:
        try:
            assert holder.stdout
            told = holder.stdout.readline()
            if told != "ready\n":
                raise AssertionError(f"no namespaces: {told}{holder.stdout.read()}")
            child = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0]
            made = Sandbox(folder, int(child), f"realtools-{uuid.uuid4().hex[:12]}")
            try:
                yield made
            finally:
                os.kill(made.pid, 9)  # and the kernel ends all that is in its namespace,
                holder.wait(30)  # before it tells of its end: nobody writes into the folder any more
        finally:
            holder.kill()
    _remove_groups(made.group)
    shutil.rmtree(folder, ignore_errors=True)


def _remove_groups(name: str) -> None:
    """In every hierarchy; the kernel may take a moment to let go of a group whose processes were killed."""
    give_up = time.monotonic() + 10.0
    roots = [_CGROUPS / name, *(one / name for one in _CGROUPS.iterdir() if one.is_dir())]
    for root in roots:
        while root.is_dir():
            for folder in (*sorted(root.rglob("*/"), reverse=True), root):
                with suppress(OSError):
                    folder.rmdir()
            if time.monotonic() > give_up:
                raise AssertionError(f"{root} is still in use")
