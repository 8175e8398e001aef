"""kill -9 of a hub with 200 running workloads, and the next hub: how long until it has them all again.

A workload is adopted when the hub holds a connection to its supervisor (proc_net_unix(5)) and shows it as running:
what the hub says alone could be what it read on the disk.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import processes
from bench.home import ROOT, Home, home
from bench.report import Figure
from shipway.client import HubClient
from shipway.errors import HubUnreachable
from shipway.kinds import API_VERSION
from shipway.settings import Settings

WORKLOADS = 200  # half of them services, half of them jobs
PATIENCE = 900.0  # seconds: each is two processes to start

# As small as a server can be: what the hub does is measured, and 200 of the usual size would fill the machine.
SERVER = "import os,socket as s;l=s.create_server(('127.0.0.1',int(os.environ['PORT'])))\nwhile 1:l.accept()[0].close()"
_ESTABLISHED = "03"


def recovery(repeat: int) -> Iterator[Figure]:
    """Services and jobs as users have them, on the real cluster; a hub killed and started ``repeat`` times."""
    with home() as place, _always_a_hub(place):
        place.run("hub", "start")
        file = place.path.parent / "project" / "workloads.yaml"
        file.parent.mkdir()
        file.write_text(yaml.safe_dump_all([_document(number) for number in range(WORKLOADS)]))
        place.run("apply", "-f", file)
        _until_adopted(place, time.perf_counter())
        rounds = [_kill_and_start(place) for _ in range(repeat + 1)][1:]
        [hub] = [one for one in processes.of_home(place.path) if one.role == "hub"]
        before = hub.cpu_seconds
        time.sleep(10)
        rest = (hub.cpu_seconds - before) / 10
        yield Figure(f"recovery with {WORKLOADS} running workloads, to all adopted", "s", _all(rounds, "adopted"), 3)
        yield Figure(f"recovery with {WORKLOADS} running workloads, to the first answer", "s", _all(rounds, "answers"))
        yield Figure(f"recovery with {WORKLOADS} running workloads, CPU of the hub", "s", _all(rounds, "cpu"))
        yield Figure(f"hub with {WORKLOADS} running workloads, CPU", "% of a core", (100 * rest,))
        descriptors = len(list(Path(f"/proc/{hub.pid}/fd").iterdir()))
        yield Figure(f"hub with {WORKLOADS} running workloads, descriptors", "", (float(descriptors),))
        yield Figure(f"hub with {WORKLOADS} running workloads, PSS", "MB", (hub.pss / 1e6,))


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds from the start of the hub's process; ``cpu`` are those that it worked until all were adopted."""

    answers: float
    adopted: float
    cpu: float


def _all(rounds: list[Round], name: str) -> tuple[float, ...]:
    return tuple(getattr(one, name) for one in rounds)


def _document(number: int) -> dict[str, Any]:
    head = {"apiVersion": API_VERSION, "metadata": {"name": f"workload-{number:03d}"}}
    if number % 2:
        return {**head, "kind": "ModelJob", "spec": {"command": ["sleep", "infinity"]}}
    # A patient service: while 400 processes start on two cores, none of them is quick.
    patient = {"startup": {"failureThreshold": 600}, "rollout": {"progressDeadline": PATIENCE}}
    return {**head, "kind": "ModelService", "spec": {"command": ["python", "-S", "-c", SERVER], **patient}}


def _kill_and_start(place: Home) -> Round:
    for hub in [one for one in processes.of_home(place.path) if one.role == "hub"]:
        os.kill(hub.pid, signal.SIGKILL)
    time.sleep(1)  # the supervisors notice
    began = time.perf_counter()
    with (place.path / "hub.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "shipway.app"],
            env=place.environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return _until_adopted(place, began)


def _until_adopted(place: Home, began: float) -> Round:
    where = Settings(place.path)
    client, answers = HubClient(where.hub_socket), None
    while time.perf_counter() - began < PATIENCE:
        time.sleep(0.02)
        with suppress(HubUnreachable):
            if answers is None:
                client.get("/healthz")
                answers = time.perf_counter() - began
            if _connected(where.sockets / "supervisors") > WORKLOADS and _running(client) > WORKLOADS:
                hubs = [one for one in processes.of_home(place.path) if one.role == "hub"]
                return Round(answers, time.perf_counter() - began, sum(one.cpu_seconds for one in hubs))
    raise SystemExit(f"not all of {WORKLOADS} workloads run after {PATIENCE:.0f} s; see {where.hub_log}")


def _connected(folder: Path) -> int:
    """Supervisors that somebody is connected to, the gateway's among them."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return len({row[7] for row in rows if len(row) > 7 and row[5] == _ESTABLISHED and row[7].startswith(f"{folder}/")})


def _running(client: HubClient) -> int:
    """Workloads that run, the servers with all their replicas ready; the gateway is one of them."""
    seen = client.get("/v1/workloads")["workloads"]
    return sum(
        one["phase"] == "Running" and (one["output"] != "" or all(each["phase"] == "Ready" for each in one["replicas"]))
        for one in seen
    )


@contextmanager
def _always_a_hub(place: Home) -> Iterator[None]:
    """Whatever happens, and be it SIGTERM: at the end a hub runs, so that the home can be taken down."""
    usual = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        subprocess.run(
            [sys.executable, "-m", "shipway.cli.main", "hub", "start"],
            env=place.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        signal.signal(signal.SIGTERM, usual)
