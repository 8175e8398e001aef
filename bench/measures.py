"""The measurements. Each warms the page cache with one run that does not count."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from sklearn.datasets import load_digits

from bench import processes
from bench.client import Server
from bench.home import ROOT, Home, home
from bench.report import Figure

DIGITS = ROOT / "examples" / "digits"
REQUESTS = 500  # of one round, each way
REST_SECONDS = 20.0


def command_line(repeat: int) -> Iterator[Figure]:
    """``--help``, and ``status`` with a running hub: the whole process."""
    with home() as place:
        yield Figure("shipway --help", "ms", _samples(lambda: place.timed("--help") * 1e3, repeat), 150)
        place.run("hub", "start")
        yield Figure("shipway status", "ms", _samples(lambda: place.timed("status") * 1e3, repeat), 250)


def first_up(repeat: int) -> Iterator[Figure]:
    """``up examples/digits`` from an empty home to the first right prediction, and again with nothing changed."""
    first, again = [], []
    for round_ in range(repeat + 1):
        with home() as place:
            start = time.perf_counter()
            place.run("up", DIGITS)
            _check_prediction(place)
            taken = time.perf_counter() - start
            second = place.timed("up", DIGITS)
        if round_:
            first.append(taken)
            again.append(second)
    yield Figure("up examples/digits, empty home, to the first right prediction", "s", tuple(first), 8)
    yield Figure("up again, nothing changed", "s", tuple(again), 1.5)


def at_rest(repeat: int) -> Iterator[Figure]:
    """Memory and CPU of 3 services of 2 replicas that nobody calls."""
    with home() as place:
        place.run("up", _three_services(place.path.parent / "project"))
        time.sleep(10)  # the first seconds after a rollout are not rest
        memory: dict[str, list[float]] = {}
        shares: list[float] = []
        for _ in range(repeat):
            shares.append(_cpu_share(place) * 100)
            for role, size in _pss(place).items():
                memory.setdefault(role, []).append(size / 1e6)
    ours = [sum(sizes) for sizes in zip(memory.pop("hub"), memory.pop("supervisor"), strict=True)]
    yield Figure("hub and supervisors at rest, 3 services of 2 replicas, PSS", "MB", tuple(ours), 120)
    yield Figure("hub and supervisors at rest, CPU", "% of a core", tuple(shares), 1)
    for role, sizes in sorted(memory.items()):
        yield Figure(f"{role} (all of them), PSS", "MB", tuple(sizes))


def gateway(repeat: int) -> Iterator[Figure]:
    """What Envoy adds to the median of one client with one connection; the two ways take turns, request by request."""
    with home() as place:
        place.run("up", DIGITS)
        replicas = [one for one in processes.of_home(place.path) if one.role == "replica" and one.ports]
        with (
            closing(Server(f"http://127.0.0.1:{replicas[0].ports[0]}", "digits")) as replica,
            closing(Server(place.services()["digits"], "digits")) as envoy,
        ):
            body = replica.body(load_digits().data[0].tolist())
            rounds = [_alternate(replica, envoy, body) for _ in range(repeat + 1)][1:]
    added = tuple((through - alone) * 1e3 for alone, through in rounds)
    yield Figure("Envoy on top of the replica, p50, 1 connection", "ms", added, 0.5)
    yield Figure("replica alone, p50, 1 connection", "ms", tuple(alone * 1e3 for alone, _ in rounds))


def demo(repeat: int) -> Iterator[Figure]:
    """``make demo`` on a fresh clone, pip's cache warm."""
    yield Figure("make demo, fresh clone, warm pip cache", "s", _samples(_demo, repeat), 120)


def _samples(measure: Callable[[], float], repeat: int) -> tuple[float, ...]:
    measure()
    return tuple(measure() for _ in range(repeat))


def _alternate(first: Server, second: Server, body: bytes) -> tuple[float, float]:
    """Seconds of the median request of each; what disturbs the machine disturbs both."""
    pairs = [(first.latency(body), second.latency(body)) for _ in range(REQUESTS)]
    return statistics.median(one for one, _ in pairs), statistics.median(one for _, one in pairs)


def _demo() -> float:
    with home() as place:
        clone = place.path.parent / "clone"
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, names.split("\0")):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
        start = time.perf_counter()
        subprocess.run(["make", "demo"], cwd=clone, env=place.environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start


def _check_prediction(place: Home) -> None:
    digits = load_digits()
    with closing(Server(place.services()["digits"], "digits")) as server:
        answer = server.infer(server.body(digits.data[0].tolist()))
    if int(answer) != int(digits.target[0]):
        raise SystemExit(f"examples/digits says {answer} to a {digits.target[0]}")


def _three_services(folder: Path) -> Path:
    """examples/digits with its service three times, 2 replicas each."""
    shutil.copytree(DIGITS, folder)
    file = folder / "shipway.yaml"
    documents: list[dict[str, Any]] = []
    for one in yaml.safe_load_all(file.read_text()):
        if one["kind"] != "ModelService":
            documents.append(one)
            continue
        for name in ("one", "two", "three"):
            spec = {**one["spec"], "replicas": 2}
            documents.append({**one, "metadata": {**one["metadata"], "name": name}, "spec": spec})
    file.write_text(yaml.safe_dump_all(documents))
    return folder


def _pss(place: Home) -> dict[str, int]:
    sums: dict[str, int] = {}
    for one in processes.of_home(place.path):
        sums[one.role] = sums.get(one.role, 0) + one.pss
    return sums


def _cpu_share(place: Home) -> float:
    ours = [one for one in processes.of_home(place.path) if one.role in ("hub", "supervisor")]
    before, start = sum(one.cpu_seconds for one in ours), time.perf_counter()
    time.sleep(REST_SECONDS)
    return (sum(one.cpu_seconds for one in ours) - before) / (time.perf_counter() - start)
