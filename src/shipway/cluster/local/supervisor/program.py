"""The supervisor's loop: replicas, their deadlines, the control socket, and the status on disk."""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import signal
import sys
import time

from . import cgroups, identity
from .adoption import is_orphan
from .awake import Awake
from .control import Control
from .durable import read_json, write_json
from .health import NEVER
from .replica import Replica, Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


_REWRITE = 1.0  # seconds until a status that the disk refused is written again


class Supervisor:
    """Runs one workload until it is done (a job), or until it is told to stop."""

    def __init__(self, directory: str, plan: dict[str, Any], before: dict[str, Any] | None) -> None:
        self.finished = False
        self._directory = directory
        self._clock = Awake()
        self._plan = plan
        self._selector = selectors.DefaultSelector()
        self._support = cgroups.detect(own=cgroups.membership())
        self._site = Site(directory, plan, self._selector, self._cgroup)
        self._site.record = self._record
        self._site.taken = self._taken
        self._started_at = time.time()
        self._finished_at: float | None = None
        timeout = plan["timeout"]
        self._timeout_at = NEVER if timeout is None else self._clock.now() + timeout
        self._stop_reason = ""
        self._terminated = False
        self._told_to_end = False
        self._outcome: tuple[str, str, int | None] | None = None  # reason, message, replica that failed
        # A supervisor before us may have moved a replica to another port.
        moved = {one["index"]: one["port"] for one in before["replicas"]} if before else {}
        planned = plan["ports"] or [None] * plan["replicas"]
        self._site.replicas = plan["replicas"]
        self._replicas = [
            Replica(index, moved.get(index) or planned[index], self._site, self._clock.now())
            for index in range(plan["replicas"])
        ]
        self._inherit(before or {"replicas": ()})
        self._published: dict[str, Any] = {}
        self._durable_ends = 0
        self._rewrite_at = NEVER
        self._control = Control(self._selector, plan["socket"], self._handle)
        self._watch_signals()

    def _inherit(self, before: dict[str, Any]) -> None:
        """What still serves goes on. What ended starts again, and counts as a restart as any other does."""
        seen = {one["index"]: one for one in before["replicas"]}
        for replica in [one for one in self._replicas if one.index in seen]:
            replica.restarts = seen[replica.index]["restarts"] + 1
            if self._plan["mode"] == "server" and is_orphan(seen[replica.index]):
                try:
                    replica.adopt(seen[replica.index], self._clock.now())
                except OSError:
                    continue  # it ended at this very moment
                self._started_at = before["started_at"]

    def run(self) -> None:
        """Until finished; then the last status is on the disk and the socket is gone."""
        while True:
            now = self._clock.now()
            for replica in self._replicas:
                replica.tick(now)
            self._settle(now)
            self._publish(now)
            if self.finished and (self._rewrite_at == NEVER or self._told_to_end):
                break
            deadline = min([self._timeout_at, self._rewrite_at, *(replica.wake_at for replica in self._replicas)])
            wait = None if deadline == NEVER else max(0.0, deadline - self._clock.now())
            ready = self._selector.select(wait)
            self._clock.woke(deadline)
            for key, events in ready:
                # An earlier event of this round may have closed this one.
                if self._selector.get_map().get(key.fd) is key:
                    key.data(events)
        self._control.close()

    def _settle(self, now: float) -> None:
        """What the ends of replicas mean for the workload."""
        self._told_to_end = self._told_to_end or self._terminated
        if self.finished:
            return  # only its last status is still to be written
        if self._terminated:
            # A shutdown of the machine: the next hub runs a server again, and may retry a job.
            self._stop("SupervisorLost", "the supervisor was ended by SIGTERM")
        wanted = self._site.replicas
        self._replicas = [one for one in self._replicas if not (one.gone and one.index >= wanted)]
        if self._plan["mode"] == "job":
            self._settle_job(now)
        elif self._stop_reason and all(one.gone for one in self._replicas):
            self.finished = True
        if self.finished:
            self._finished_at = time.time()

    def _settle_job(self, now: float) -> None:
        failed = next((one for one in self._replicas if one.state == "ended" and not one.succeeded), None)
        if self._outcome is None and failed is not None:
            message = f"replica {failed.index}: {failed.message}" if len(self._replicas) > 1 else failed.message
            self._outcome = (failed.reason, message, failed.index)
            self._stop_all("Stopped", now)
        if all(one.worked for one in self._replicas):
            self._timeout_at = NEVER
        if self._outcome is None and now >= self._timeout_at:
            self._outcome = ("TimedOut", f"took longer than {self._plan['timeout']:g} s", None)
            self._stop_all("TimedOut", now)
        self._timeout_at = NEVER if self._outcome else self._timeout_at
        self.finished = all(one.gone for one in self._replicas)

    def _stop_all(self, reason: str, now: float) -> None:
        for replica in reversed(self._replicas):
            replica.stop(reason, now)

    def _stop(self, reason: str, message: str) -> None:
        if not self._stop_reason and not self.finished:
            self._stop_reason = reason
            self._outcome = self._outcome or (reason, message, None)
            self._stop_all(reason, self._clock.now())

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.get("op"):
            case "status" | "watch":
                pass
            case "stop":
                self._told_to_end = True
                self._stop("Stopped", "it was told to stop")
            case "scale" if self._plan["mode"] == "server":
                self._scale(int(request["replicas"]), request["ports"])
            case other:
                raise ValueError(f"unknown request {other!r}")
        return self._status()

    def _scale(self, replicas: int, ports: list[int]) -> None:
        if self._stop_reason:
            return
        self._site.replicas = replicas
        now = self._clock.now()
        present = {one.index: one for one in self._replicas}
        for index in sorted(present, reverse=True):
            if index >= replicas:
                present[index].stop("ScaledDown", now)
        for index in range(replicas):
            if index in present and present[index].state != "ended":
                present[index].stay()
            elif index not in present or present[index].leaving:
                present[index] = Replica(index, ports[index] if ports else None, self._site, now)
        self._replicas = [present[index] for index in sorted(present)]

    def _status(self) -> dict[str, Any]:
        phase = "Stopping" if self._stop_reason else "Running"
        reason, message, failed = ("", "", None) if self._outcome is None else self._outcome
        if self.finished:
            phase = "Failed" if self._outcome else "Succeeded"
        missing = dict(self._support.missing)
        for one in self._replicas:
            missing.update(one.unenforced)
        return {
            "name": self._plan["name"],
            "mode": self._plan["mode"],
            "phase": phase,
            "reason": reason,
            "message": message,
            "failed_replica": failed,
            "notes": cgroups.unenforced(self._plan["limits"], missing),
            "started_at": self._started_at,
            "finished_at": self._finished_at,
            # One that was scaled down is not a failed one, however it ended.
            "replicas": [one.describe() for one in self._replicas if one.index < self._site.replicas or one.pid],
        }

    def _publish(self, now: float) -> None:
        """Write the status when it changed; at the end of a replica it is on the disk before anybody is told.

        A full disk ends nothing that runs: who watches is told all the same, and the status is written later. Only who
        was told to end does not wait for space: how it ended is then known to those who watch, and to no later hub.
        """
        status = self._status()
        if status == self._published and now < self._rewrite_at:
            return
        ends = self._site.ends
        sync = self.finished or ends != self._durable_ends
        try:
            write_json(f"{self._directory}/status.json", status, sync=sync)
        except OSError as error:
            # Nobody will ever ask after a workload whose folder was taken away.
            abandoned = self.finished and error.errno == errno.ENOENT
            self._rewrite_at = NEVER if abandoned else self._clock.now() + _REWRITE
        else:
            self._rewrite_at, self._durable_ends = NEVER, ends
        if status != self._published:
            self._published = status
            self._control.push(status)

    def _record(self) -> None:
        write_json(f"{self._directory}/status.json", self._status(), sync=False)

    def _taken(self) -> set[int]:
        return {port for one in self._replicas for port in (one.port, one.grpc_port) if port is not None}

    def _cgroup(self, index: int) -> cgroups.Cgroup | None:
        if not self._support.folders:
            return None
        return cgroups.Cgroup(self._support, self._plan["cgroup"], f"{self._plan['name']}-{index}")

    def _watch_signals(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._selector.register(read, selectors.EVENT_READ, lambda _events: os.read(read, 4096))
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_terminate)

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True  # the wake-up pipe brings the loop round


def main(directory: str) -> None:
    """Become a daemon that runs the workload of ``directory``; the caller's process ends when it is up.

    Exits with 0 also when another supervisor has this workload already, and with 1 (reason on stderr) when
    it cannot start.
    """
    plan = read_json(f"{directory}/plan.json")
    if plan is None:
        sys.exit(f"{directory}/plan.json is missing or not JSON")
    ready, up = os.pipe()
    if os.fork():
        os.close(up)
        sys.exit(0 if os.read(ready, 1) else 1)
    os.setsid()
    os.close(ready)
    _close_inherited({up})
    lock = os.open(f"{directory}/supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.write(up, b"!")
        return
    before = read_json(f"{directory}/status.json")
    if plan["mode"] == "job" and before is not None:
        # We were started by a hub that died, and came so late that the job has run under the next one's supervisor.
        os.write(up, b"!")
        return
    _write_identity(directory)
    os.makedirs(f"{directory}/logs", mode=0o700, exist_ok=True)
    supervisor = Supervisor(directory, plan, before)
    _detach(f"{directory}/supervisor.log")
    os.write(up, b"!")
    os.close(up)
    supervisor.run()


def _write_identity(directory: str) -> None:
    pid = os.getpid()
    write_json(f"{directory}/supervisor.json", {"pid": pid, "start_time": identity.start_time(pid)})


def _close_inherited(but: set[int]) -> None:
    for entry in os.listdir("/proc/self/fd"):
        descriptor = int(entry)
        if descriptor > 2 and descriptor not in but:
            try:
                os.close(descriptor)
            except OSError:
                continue  # the descriptor of this very listing


def _detach(log: str) -> None:
    """From here on nobody's pipe or terminal hangs on us; a traceback goes to the supervisor's own log."""
    null = os.open(os.devnull, os.O_RDWR)
    own = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (own, 1), (own, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(own)
