"""Chaos: mixed work on a home of real processes while its hub, supervisors, replicas, jobs, Envoy and uv are killed.

``python -m tests.e2e.chaos --seed N --seconds S`` (``make chaos``) prints what was killed when and what was answered;
``test_faults_chaos.py`` runs the short form. What must hold at the end is in ``chaos_audit.py``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import ClassVar

from tests.e2e import chaos_audit as audit
from tests.e2e.chaos_load import Clients, EnvoyWatch, Target
from tests.e2e.chaos_plan import Death, Failure, Step, blame, schedule
from tests.e2e.faults import TRAIN, TRAIN_YAML, kill, own_server
from tests.e2e.home import Home, Project, eventually, fresh_home, told

RATE = 200.0  # predictions a second
_PATIENCE = 12.0  # seconds to wait for somebody to kill
_TRIES = 12  # of one `up`: what was killed under it may fail it, and its user runs it again
_BUILDS = 100


@dataclass(slots=True)
class Log:
    """What happened, in order; lines are printed as they come with ``echo``."""

    began: float = field(default_factory=time.monotonic)
    echo: bool = False
    lines: list[str] = field(default_factory=list)
    count: Callable[[], str] = lambda: ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        """Note it with its second and what was answered until then."""
        with self._lock:
            line = f"{time.monotonic() - self.began:7.2f} s  {text:<72} {self.count()}".rstrip()
            self.lines.append(line)
            if self.echo:
                print(line, flush=True)


@dataclass(slots=True)
class Cast:
    """The projects, and what each declares now: what the audit compares the world with."""

    home: Home
    log: Log
    line: Project = field(init=False)
    own: Project = field(init=False)
    side: Project = field(init=False)
    built: Project = field(init=False)
    declared: audit.Declared = field(default_factory=audit.Declared)

    def __post_init__(self) -> None:
        home = self.home
        self.own, self.side, self.built = (own_server(home, name) for name in ("own", "side", "built"))
        starts, gate = home.projects / "line.starts", home.projects / "line.gate"
        gate.touch()
        text = TRAIN_YAML.replace("STARTS", str(starts)).replace("GATE", str(gate)).replace("SIZE", "65536")
        text = text.replace("  model: NAME\n---", "  model: NAME\n  retries: 3\n---")
        slow = TRAIN.replace("log_metrics(", "time.sleep(0.8)\nlog_metrics(")  # long enough to be killed in
        self.line = Project.line(home.projects, "line", train_py=slow, shipway_yaml=text)
        self.built.edit("server.py", "import json, os\n", "import json, os, slowpoke\n")
        self.built.edit("server.py", '{"edition": 1,', '{"edition": slowpoke.EDITION,')
        self.built.write("requirements.txt", "slowpoke==1.0\n")
        self.built.edit("shipway.yaml", "  port: 8080\n", "  port: 8080\n  requirements: requirements.txt\n")

    def projects(self) -> tuple[Project, ...]:
        return (self.line, self.own, self.side, self.built)

    def train(self) -> None:
        """Another slope: a new version, and its rollout."""
        now = self.declared.slope
        self.line.edit("shipway.yaml", f"slope: {now},", f"slope: {now + 1},")
        self.declared.slope += 1
        self.up(self.line)

    def edit(self) -> None:
        """Another edition of the server."""
        now = self.declared.editions["own"]
        self.own.edit("server.py", f'"edition": {now},', f'"edition": {now + 1},')
        self.declared.editions["own"] += 1
        self.up(self.own)

    def scale(self) -> None:
        """Two replicas become three, and three two."""
        now = self.declared.replicas["own"]
        self.own.edit("shipway.yaml", f"replicas: {now}\n", f"replicas: {5 - now}\n")
        self.declared.replicas["own"] = 5 - now
        self.up(self.own)

    def build(self) -> None:
        """Another version of a package: uv makes an environment."""
        now = self.declared.editions["built"]
        self.built.write("requirements.txt", f"slowpoke=={now + 1}.0\n")
        self.declared.editions["built"] += 1
        self.up(self.built)

    def delete(self) -> None:
        """A service goes; the next time it comes again."""
        if self.declared.side:
            self.declared.side = False
            self.insist("delete", "service", "side")
        else:
            self.declared.side = True
            self.up(self.side)

    def up(self, project: Project) -> None:
        self.insist("up", project.folder)

    def insist(self, *arguments: str | Path) -> None:
        """As its user does: run it again when what was killed under it made it fail."""
        words = " ".join(one.name if isinstance(one, Path) else one for one in arguments)
        for attempt in range(1, _TRIES + 1):
            done = self.home.shipway(*arguments, timeout=120.0)
            if done.returncode == 0:
                self.log.say(f"work  {words}: done" + (f" at the {attempt}. try" if attempt > 1 else ""))
                return
            self.log.say(f"work  {words}: exit code {done.returncode}: {_last_line(told(done))}")
            if arguments[0] == "delete" and "NotFound" in told(done):
                return  # the answer of an earlier try was lost
        raise AssertionError(f"shipway {words} failed {_TRIES} times\n{told(done)}")


def _last_line(text: str) -> str:
    return next((one.strip() for one in text.splitlines() if "rror" in one), text.strip().rpartition("\n")[2])[:150]


class Workers:
    """One thread a project: work on different projects goes on at the same time, on one project in turn."""

    _OF: ClassVar = {"train": "line", "edit": "own", "scale": "own", "build": "built", "delete": "side"}

    def __init__(self, cast: Cast) -> None:
        self.problems: list[str] = []
        self._queues: dict[str, Queue[Callable[[], None] | None]] = {one: Queue() for one in set(self._OF.values())}
        self._cast = cast
        self._threads = [
            threading.Thread(target=self._run, args=(queue,), daemon=True) for queue in self._queues.values()
        ]
        for thread in self._threads:
            thread.start()

    def do(self, what: str) -> None:
        """Put it behind what its project still has to do; not at all when that is more than a slow machine can do."""
        queue = self._queues[self._OF[what]]
        if queue.qsize() < 2:
            queue.put(getattr(self._cast, what))

    def finish(self) -> None:
        """Wait for everything."""
        for queue in self._queues.values():
            queue.put(None)
        for thread in self._threads:
            thread.join(timeout=300.0)
            assert not thread.is_alive(), "work does not come to its end"

    def _run(self, queue: Queue[Callable[[], None] | None]) -> None:
        while (work := queue.get()) is not None:
            try:
                work()
            except Exception as error:  # told at the end, with all others
                self.problems.append(f"{type(error).__name__}: {error}")


class Killer:
    """Kills one process of a role, as soon as there is one. ``killed`` counts by role."""

    def __init__(self, home: Home, log: Log) -> None:
        self.killed: Counter[str] = Counter()
        self._home = home
        self._log = log
        self._threads: list[threading.Thread] = []

    def kill(self, step: Step) -> None:
        """In a thread of its own: uv or a job may come only in a moment."""
        thread = threading.Thread(target=self._kill, args=(step,), daemon=True)
        thread.start()
        self._threads.append(thread)

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(timeout=2 * _PATIENCE)

    def _kill(self, step: Step) -> None:
        give_up = time.monotonic() + _PATIENCE
        while time.monotonic() < give_up:
            victims = audit.victims(self._home, step.what)
            if victims:
                name, pid = victims[int(step.draw * len(victims))]
                try:
                    kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.killed[step.what] += 1
                self._log.say(f"kill  {step.what} {name} (pid {pid})")
                return
            time.sleep(0.02)
        self._log.say(f"kill  {step.what}: nobody to kill")


@dataclass(frozen=True, slots=True)
class Report:
    """What a run was."""

    seed: int
    seconds: float
    lines: list[str]
    killed: Counter[str]
    answered: Counter[str]
    failures: list[Failure]
    unexplained: list[Failure]
    problems: list[str]
    versions: int
    began: float
    deaths: list[Death]

    def summary(self) -> str:
        """For people."""
        told = [
            f"seed {self.seed}, {self.seconds:g} s",
            f"killed       {', '.join(f'{count} {role}' for role, count in sorted(self.killed.items()))}",
            f"answered     {self.answered.total()} predictions well",
            f"broken       {sum(1 for one in self.failures if one.connected is not None)} on connections, "
            f"{sum(1 for one in self.failures if one.connected is None)} could not connect; "
            f"Envoy died {len(self.deaths)} times",
            *(
                f"             away from {one.missed - self.began:.2f} s to {one.back - self.began:.2f} s"
                for one in self.deaths
            ),
            f"unexplained  {len(self.unexplained)}",
            *(f"             {self._in_words(one)}" for one in self.unexplained[:20]),
            f"versions     {self.versions}",
            f"problems     {len(self.problems)}",
            *(f"             {one}" for one in self.problems),
        ]
        return "\n".join(told)

    def _in_words(self, one: Failure) -> str:
        connected = "never" if one.connected is None else f"{one.connected - self.began:.2f} s"
        return f"{one.failed - self.began:.2f} s: {one.what} (client {one.client}, connected {connected})"


def run(home: Home, seed: int, seconds: float, *, echo: bool = False) -> Report:
    """One run: work, kills and predictions for so many seconds, then the audit. ``home`` has nothing yet."""
    log = Log(echo=echo)
    cast = Cast(home, log)
    for project in cast.projects():
        home.ok("up", project.folder, timeout=120.0)
    targets = [
        Target(f"{home.url('line')}/predict", {"input": [[1.0]]}, lambda answer: audit.slope_of(answer) >= 2),
        Target(home.url("own"), {}, lambda answer: bool(answer["edition"] >= 1)),
    ]
    log.began = time.monotonic()
    killer, workers = Killer(home, log), Workers(cast)
    with EnvoyWatch(home, targets[1].url) as watch, Clients(targets, RATE) as clients:
        log.count = lambda: f"{clients.answered.total()} answered, {len(clients.failures)} not"
        for step in schedule(seed, seconds):
            time.sleep(max(0.0, log.began + step.at - time.monotonic()))
            if step.kind == "kill":
                killer.kill(step)
            else:
                workers.do(step.what)
        time.sleep(max(0.0, log.began + seconds - time.monotonic()))
        killer.finish()
        log.say("      the killing is over")
        workers.finish()
        problems = [*workers.problems, *audit.settled(home, cast.declared)]
        log.say("      all is whole again" if not problems else "      it is not whole")
        more = clients.answered.total() + 100
        eventually(lambda: clients.answered.total() >= more, seconds=30.0, what="100 more answers")
    deaths = watch.deaths
    if not problems:
        problems += audit.history(home, cast.declared)
    return Report(
        seed=seed,
        seconds=seconds,
        lines=log.lines,
        killed=killer.killed,
        answered=clients.answered,
        failures=clients.failures,
        unexplained=blame(clients.failures, deaths),
        problems=problems,
        versions=audit.versions(home),
        deaths=deaths,
        began=log.began,
    )


def in_fresh_home(seed: int, seconds: float, *, echo: bool = False) -> Report:
    """A run in a home that is made for it, and whose end is part of it: nothing may be left."""
    with audit.wheelhouse(_BUILDS) as links, fresh_home(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(links)) as home:
        report = run(home, seed, seconds, echo=echo)
        report.problems.extend(audit.ended(home))
    return report


def main(arguments: list[str] | None = None) -> int:
    """0 when everything held."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=180.0)
    asked = parser.parse_args(arguments)
    report = in_fresh_home(asked.seed, asked.seconds, echo=True)
    print(f"\n{report.summary()}")
    return 1 if report.problems or report.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
