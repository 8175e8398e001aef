"""One replica: started, probed, ended, and (a server) started again on the same port."""

from __future__ import annotations

import errno
import os
import signal

from . import identity, ports
from .adoption import Adopted
from .backoff import next_restart
from .cgroups import Cgroup, in_words
from .environment import argv_of, environment_of
from .health import NEVER, Health, Probe
from .logs import LogFile
from .output import Output
from .probes import Attempt
from .spawn import spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Container
    from typing import Any

MODEL_CANNOT_BE_LOADED = 3  # docs/contract.md: a server that never was ready is not restarted after it
_LINGER = 1.0  # seconds in which the gateway hears that a replica is leaving, and what it has sent can end
_PORT_PATIENCE = 0.5
_HOW_UNKNOWN = 255  # stands for the end of a process that was not our child
_SWEEP_PATIENCE = 2.0
_FOLLOWING = 60.0  # seconds for what follows the command of a job


class Site:
    """What the replicas of a workload share."""

    def __init__(
        self,
        directory: str,
        plan: dict[str, Any],
        selector: selectors.BaseSelector,
        cgroup: Callable[[int], Cgroup | None],
    ) -> None:
        self.directory = directory
        self.plan = plan
        self.selector = selector
        self.cgroup = cgroup
        self.replicas = 0  # how many are wanted now
        self.ends = 0  # how often a replica has ended: each time the status must reach the disk
        self.record: Callable[[], None] = lambda: None  # writes the status down
        self.taken: Callable[[], Container[int]] = lambda: ()  # ports of the other replicas


class Replica:
    """``state``: ``waiting`` for its start, ``running``, ``lingering`` (scaled down, SIGTERM follows),
    ``stopping`` (SIGTERM was sent), ``following`` (a job's command succeeded, and ``afterwards`` runs), ``ended`` for
    good."""

    def __init__(self, index: int, port: int | None, site: Site, now: float) -> None:
        self.index = index
        self.port = port
        self.grpc_port: int | None = None
        self.state = "waiting"
        self.leaving = False  # it is to end for good
        self.restarts = 0
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.reason = ""
        self.message = ""
        self.unenforced: dict[str, str] = {}
        self._site = site
        self._start_time: int | None = None
        self._start_at = now
        self._port_deadline = NEVER
        self._began = now
        self._terminate_at = NEVER
        self._kill_at = NEVER
        self._sweep_until = NEVER
        self._failures = 0
        self._starts = 0
        self._was_ready = False
        self._doom = ""
        self._health = Health({}, now)
        self._attempts: list[Attempt] = []
        self._output: Output | None = None
        self._pipes: list[int] = []  # their inodes, by which the next supervisor knows them
        self._adopted: Adopted | None = None
        self._ooms = 0
        self._cgroup = site.cgroup(index)
        log = site.plan["log"]
        self._log = LogFile(f"{site.directory}/logs/replica-{index}.log", size=log["size"], files=log["files"])
        if self._cgroup is not None:
            self.unenforced = self._cgroup.create(site.plan["limits"])

    @property
    def phase(self) -> str:
        """As in ``bundle.ReplicaPhase``."""
        if self.state in ("running", "following"):
            return self._health.phase
        if self.state == "waiting":
            return "BackOff" if self._starts else "Starting"
        return "Exited" if self.state == "ended" else "Stopping"

    @property
    def succeeded(self) -> bool:
        return self.state == "ended" and self.exit_code == 0

    @property
    def worked(self) -> bool:
        """Its command has succeeded, whatever still follows."""
        return self.exit_code == 0 and self.state in ("following", "ended")

    @property
    def gone(self) -> bool:
        """Ended, and nothing of it is left in its cgroup."""
        return self.state == "ended" and self._sweep_until == NEVER

    @property
    def wake_at(self) -> float:
        """When :meth:`tick` must be called at the latest."""
        if self.state == "waiting":
            return self._start_at
        if self.state == "ended":
            return NEVER if self.gone else 0.05 + self._began
        deadlines = [attempt.deadline for attempt in self._attempts]
        return min(
            [self._kill_at, self._terminate_at, self._health.wake_at if self.state == "running" else NEVER, *deadlines]
        )

    def describe(self) -> dict[str, Any]:
        """Its part of the status."""
        unready = self.state == "running" and self._health.phase == "NotReady"
        return {
            "index": self.index,
            "phase": self.phase,
            "port": self.port,
            "grpc_port": self.grpc_port,
            "pid": self.pid,
            "start_time": self._start_time,
            "pipes": self._pipes,
            "restarts": self.restarts,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "reason": "ReadinessProbeFailed" if unready else self.reason,
            "message": self._health.message if unready else self.message or self._health.message,
        }

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self.state == "waiting" and now >= self._start_at:
            self._start(now)
        if self.state in ("running", "lingering", "stopping", "following"):
            self._reap(now)
        if self.state in ("running", "lingering", "stopping"):
            self._probe(now)
        if self.state == "lingering" and now >= self._terminate_at:
            self._terminate(now)
        if self.state in ("stopping", "following") and now >= self._kill_at:
            self._kill_at = NEVER
            self._kill()
        if self.state == "ended" and not self.gone:
            self._sweep(now)

    def stop(self, reason: str, now: float) -> None:
        """End it for good: SIGTERM, the grace period, SIGKILL. One that is scaled down lingers before."""
        self.leaving = True
        if self.state == "waiting":
            self.reason = self.reason or reason
            self._end_for_good(now)
        elif reason == "ScaledDown":
            if self.state == "running":
                self.state, self._doom, self._terminate_at = "lingering", reason, now + _LINGER
        elif self.state == "following":
            self._kill()
        elif self.state in ("running", "lingering"):
            self._doom = reason
            self._terminate(now)

    def adopt(self, seen: dict[str, Any], now: float) -> None:
        """Take over the process of a supervisor that is gone. Raises OSError when it has just ended."""
        marker = f"SHIPWAY_WORKLOAD={self._site.plan['name']}"
        adopted = self._adopted = Adopted(self._site.selector, seen, marker)
        self.pid, self._start_time, self._pipes = adopted.pid, adopted.start_time, seen["pipes"]
        self.grpc_port = seen.get("grpc_port")
        self.restarts, self._starts, self._was_ready = seen["restarts"], 1, True
        self.exit_code, self.signal = seen["exit_code"], seen["signal"]  # of its last end, which was told already
        self.state, self._began = "running", now
        self._health = Health(self._site.plan["probes"] if self.port is not None else {}, now)
        self._health.resume(now)
        self._ooms = self._cgroup.oom_kills() if self._cgroup else 0
        self._output = Output(self._site.selector, self._log, adopted.stdout, adopted.stderr)

    def stay(self) -> None:
        """It was to end, and is wanted again: it goes on, or starts anew when SIGTERM was sent already."""
        self.leaving = False
        if self.state == "lingering":
            self.state, self._doom, self._terminate_at = "running", "", NEVER

    def _start(self, now: float) -> None:
        if self.port is not None and not self._port_is_ours(now):
            return
        self.restarts += 1 if self._starts else 0
        self._starts += 1
        self._began, self._doom, self._kill_at = now, "", NEVER
        self._ooms = self._cgroup.oom_kills() if self._cgroup else 0
        plan = self._site.plan
        if plan.get("grpc"):
            self.grpc_port = self._second_port()
        try:
            which = (plan, self.index, self._site.replicas, self.port, self.grpc_port)
            run = spawn(argv_of(*which), environment_of(*which), plan["cwd"], self._on_spawn)
        except OSError as error:
            self.pid = self._start_time = None
            self.exit_code, self.signal = 127, None
            # With a file's name it is a secret that is gone, not the command.
            reason = "CommandNotFound" if error.errno == errno.ENOENT and not error.filename else "CannotStart"
            self._ended(reason, f"{error.filename or plan['argv'][0]}: {error.strerror}", now)
            return
        self.state = "running"
        self._health = Health(plan["probes"] if self.port is not None else {}, now)
        self._output = Output(self._site.selector, self._log, run.stdout, run.stderr)

    def _on_spawn(self, pid: int, pipes: list[int]) -> None:
        self.pid, self._start_time, self._pipes = pid, identity.start_time(pid), pipes
        if self._cgroup is not None:
            self._cgroup.add(pid)
        self._site.record()

    def _port_is_ours(self, now: float) -> bool:
        """A stranger's port is left to him; our own end may take a moment to give it back."""
        if self.port is None or ports.is_free(self.port):
            self._port_deadline = NEVER
            return True
        self._port_deadline = min(self._port_deadline, now + _PORT_PATIENCE)
        if now < self._port_deadline:
            self._start_at = now + 0.05
            return False
        self._port_deadline = NEVER
        self.port = ports.find_free(self._site.taken())
        return True

    def _second_port(self) -> int:
        """The one that it had while that is free. No hub promises it: it is told by the status."""
        port = self.grpc_port
        return port if port is not None and ports.is_free(port) else ports.find_free(self._site.taken())

    def _probe(self, now: float) -> None:
        for attempt in [one for one in self._attempts if one.deadline <= now]:
            attempt.expire()
        self._attempts = [one for one in self._attempts if not one.closed]
        if self.state != "running":
            return
        if self._health.phase == "Ready":
            self.reason = self.message = ""
        if self.port is None:
            return
        if self._health.doom:
            self._doom = self.reason = self._health.doom
            self.message = self._health.message
            self._terminate(now)
            return
        for probe in self._health.due(now):
            self._attempts.append(
                Attempt(self._site.selector, self.port, probe.path, now + probe.timeout, self._answer(probe, now))
            )

    def _answer(self, probe: Probe, asked_at: float) -> Callable[[bool, str], None]:
        health = self._health

        def note(passed: bool, message: str) -> None:
            # Answers are dated by their question: the loop's clock, not a second one, moves the replica.
            if passed:
                health.passed(probe, asked_at)
            else:
                health.failed(probe, message, asked_at)

        return note

    def _terminate(self, now: float) -> None:
        self.state, self._terminate_at = "stopping", NEVER
        self._kill_at = now + self._site.plan["grace"]
        if self.pid is not None:
            identity.kill_group(self.pid, signal.SIGTERM)

    def _kill(self) -> None:
        if self.pid is not None:
            identity.kill_group(self.pid)
        if self._cgroup is not None:
            self._cgroup.kill()

    def _reap(self, now: float) -> None:
        if self.pid is None:
            return
        code = self._end_of_adopted(self._adopted) if self._adopted else self._end_of_child(self.pid)
        if code is None:
            return
        self.pid = self._start_time = None
        if self._output is not None:
            self._output.finish()
        if self.state == "following":
            code = 0  # the command's; how that ended which followed it, its log tells
        self.exit_code, self.signal = (code, None) if code >= 0 else (None, -code)
        if code == 0 and self._goes_on(now):
            return
        # Without a port nothing was asked: such a one counts as ready from its start, which proves nothing.
        self._was_ready = self._was_ready or (self.port is not None and self._health.healthy_for(now) > 0)
        why = self._why(code)
        if self._adopted is not None:
            self._adopted = self.exit_code = None
        self._ended(*why, now)

    def _goes_on(self, now: float) -> bool:
        """Start what follows the command that has just succeeded, once for all replicas; False where nothing does."""
        plan = self._site.plan
        # A plan of an earlier Shipway knows of nothing that follows.
        if self.state != "running" or self.index != 0 or not plan.get("afterwards"):
            return False
        variables = environment_of(plan, self.index, self._site.replicas, self.port)
        try:
            run = spawn(plan["afterwards"], variables, plan["cwd"], self._on_spawn)
        except OSError:
            return False
        self.state, self._kill_at = "following", now + _FOLLOWING
        self._output = Output(self._site.selector, self._log, run.stdout, run.stderr)
        return True

    def _end_of_child(self, pid: int) -> int | None:
        """Its exit code (negative for a signal), None while it runs."""
        # Look first and reap later: as a zombie it keeps its pid, so that its group can still be named.
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        self._kill()
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _end_of_adopted(self, adopted: Adopted) -> int | None:
        if adopted.lives:
            return None
        adopted.bury()
        if self._cgroup is not None:
            self._cgroup.kill()
        return _HOW_UNKNOWN

    def _why(self, code: int) -> tuple[str, str]:
        if self._cgroup is not None and code != 0 and self._cgroup.oom_kills() > self._ooms:
            limit = in_words("memory", self._site.plan["limits"]["memory"] or 0)
            return "OOMKilled", f"killed by the kernel at the memory limit of {limit}"
        if self._doom:
            return self._doom, self.message
        if self._site.plan["mode"] == "server" and code == MODEL_CANNOT_BE_LOADED and not self._was_ready:
            return "ModelNotLoaded", self._output.last_error if self._output else ""
        if self._adopted is not None:
            return "Error", "it ended; how, only its first supervisor could have known"
        if code < 0:
            return "Error", f"ended by signal {-code} ({signal.strsignal(-code)})"
        return ("Error", f"exited with code {code}") if code else ("Completed", "")

    def _ended(self, reason: str, message: str, now: float) -> None:
        self.reason, self.message = reason, message
        self._site.ends += 1
        for attempt in self._attempts:
            attempt.close()
        self._attempts = []
        healthy = self._health.healthy_for(now)
        self._health = Health({}, now)
        if self.leaving or self._site.plan["mode"] == "job" or reason == "ModelNotLoaded":
            self._end_for_good(now)
            return
        longest = self._site.plan["longest_backoff"]
        self._failures, delay = next_restart(self._failures, now - self._began, healthy, longest)
        wanted_again = self._doom == "ScaledDown"
        self.state, self._start_at = "waiting", now if wanted_again else now + delay

    def _end_for_good(self, now: float) -> None:
        self.state = "ended"
        self._log.close()
        if self._cgroup is not None:
            self._sweep_until = now + _SWEEP_PATIENCE
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        """Remove the cgroup; processes that were just killed may need a moment to leave it."""
        self._began = now
        if self._cgroup is None or self._cgroup.remove() or now >= self._sweep_until:
            self._sweep_until = NEVER
            return
        self._cgroup.kill()
