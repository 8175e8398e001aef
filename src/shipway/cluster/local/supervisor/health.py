"""What the answers to probes mean for a replica. Pure: the clock is an argument, in monotonic seconds."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NEVER = float("inf")
_SHORTEST = 0.05


class Probe:
    """One kind of probe: what to ask, how often, and what was answered lately."""

    def __init__(self, kind: str, spec: Mapping[str, Any]) -> None:
        self.kind = kind
        self.path: str | None = spec["path"]
        self.period: float = spec["period"]
        self.timeout: float = spec["timeout"]
        self.threshold: int = spec["failure_threshold"]
        self.next_at = NEVER
        self.failures = 0  # in a row
        self.passed_once = False


class Health:
    """Startup first, then readiness and liveness, as Kubernetes does it.

    ``phase`` is ``Starting``, ``Ready`` or ``NotReady``; ``doom`` is the reason why the replica must be
    ended (``StartupProbeFailed``, ``LivenessProbeFailed``), with ``message`` the last bad answer.
    """

    def __init__(self, specs: Mapping[str, Mapping[str, Any] | None], now: float) -> None:
        self._probes = {kind: Probe(kind, spec) for kind, spec in specs.items() if spec}
        self._began = now
        self._ready_since = NEVER
        self._longest_ready = 0.0
        self.phase = "Starting"
        self.doom = ""
        self.message = ""
        if "startup" in self._probes:
            self._probes["startup"].next_at = now
        else:
            self._started(now)

    def resume(self, now: float) -> None:
        """It was up and ready before anybody of ours looked."""
        for probe in self._probes.values():
            probe.passed_once, probe.next_at = True, NEVER
        self._started(now)
        self._ready(now)

    @property
    def wake_at(self) -> float:
        """When a probe is due."""
        return min((probe.next_at for probe in self._probes.values()), default=NEVER)

    def due(self, now: float) -> list[Probe]:
        """Probes to send now; each waits for its answer before it is due again."""
        probes = [probe for probe in self._probes.values() if probe.next_at <= now]
        for probe in probes:
            probe.next_at = NEVER
        return probes

    def passed(self, probe: Probe, now: float) -> None:
        """The replica answered well."""
        probe.failures = 0
        probe.passed_once = True
        if probe.kind == "startup":
            self._started(now)
            return
        probe.next_at = now + probe.period
        if probe.kind == "readiness":
            self._ready(now)

    def failed(self, probe: Probe, message: str, now: float) -> None:
        """It did not answer, or badly."""
        probe.failures += 1
        probe.next_at = now + self._interval(probe, now)
        if probe.kind != "readiness" or self.phase != "Ready":
            self.message = message
        if probe.kind == "startup":
            allowed = probe.period * probe.threshold
            if now - self._began >= allowed:
                self.doom, self.message = "StartupProbeFailed", f"not up after {allowed:g} s: {message}"
            # The deadline is looked at only when an attempt fails: one must fall on it.
            probe.next_at = min(probe.next_at, max(self._began + allowed, now + _SHORTEST))
        elif probe.kind == "liveness" and probe.failures >= probe.threshold:
            self.doom, self.message = "LivenessProbeFailed", f"{probe.failures} times in a row: {message}"
        elif probe.kind == "readiness" and self.phase == "Ready" and probe.failures >= probe.threshold:
            self._longest_ready = self.healthy_for(now)
            self._ready_since = NEVER
            self.phase, self.message = "NotReady", message

    def healthy_for(self, now: float) -> float:
        """The longest time, in seconds, that it was ready without a break."""
        return max(self._longest_ready, now - self._ready_since)

    def _started(self, now: float) -> None:
        readiness, liveness = self._probes.get("readiness"), self._probes.get("liveness")
        if liveness:
            liveness.next_at = now + liveness.period
        if readiness:
            readiness.next_at = now
        else:
            self._ready(now)

    def _ready(self, now: float) -> None:
        if self.phase != "Ready":
            self.phase, self.message, self._ready_since = "Ready", "", now

    def _interval(self, probe: Probe, now: float) -> float:
        """Until it is up: a tenth of its age, so that 300 ms are seen at once and 30 s are not hammered."""
        if probe.kind == "liveness" or probe.passed_once:
            return probe.period
        return min(probe.period, max(_SHORTEST, (now - self._began) / 10))
