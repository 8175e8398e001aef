"""From the start of our server to its first right answer, and the memory that it then has."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from statistics import median

from bench.serving.contest import Contest
from bench.serving.contestants import OURS
from bench.serving.environments import Environment
from bench.serving.verdicts import Findings, Table, Verdict

ONNX_SECONDS, ONNX_MEMORY = 1.0, 110.0
SKLEARN_SECONDS, SKLEARN_MEMORY = 0.5, 40.0  # above a bare import
_BARE = "import sklearn; print(next(line.split()[1] for line in open('/proc/self/status') if line[:6] == 'VmRSS:'))"


def start(contest: Contest) -> Findings:
    """ONNX digits, scikit-learn digits, and a bare ``import sklearn``, in turns."""
    found: dict[str, list[tuple[float, float]]] = {"onnx": [], "sklearn": [], "import sklearn": []}
    for _ in range(contest.rounds + 2):
        for engine in ("onnx", "sklearn"):
            with contest.running(OURS, contest.payloads.digits(engine)) as server:
                found[engine].append((server.ready, _resident(server.pid)))
        found["import sklearn"].append(_bare_import(contest.environment("ours")))
    return judge(found)


def judge(found: dict[str, list[tuple[float, float]]]) -> Findings:
    """``found``: seconds and megabytes of each start. Pure."""
    seconds = {name: median(one for one, _ in pairs) for name, pairs in found.items()}
    memory = {name: median(one for _, one in pairs) for name, pairs in found.items()}
    above = "above a bare `import sklearn`"
    return Findings(
        [
            Verdict("start to ready, ONNX digits", seconds["onnx"], "at most", ONNX_SECONDS, "s"),
            Verdict("memory when ready, ONNX digits", memory["onnx"], "at most", ONNX_MEMORY, "MB"),
            Verdict(
                f"start to ready, scikit-learn digits, {above}",
                seconds["sklearn"] - seconds["import sklearn"],
                "at most",
                SKLEARN_SECONDS,
                "s",
            ),
            Verdict(
                f"memory when ready, scikit-learn digits, {above}",
                memory["sklearn"] - memory["import sklearn"],
                "at most",
                SKLEARN_MEMORY,
                "MB",
            ),
        ],
        [
            Table(
                "Start to the first right answer, resident memory then",
                ("what", "seconds", "MB"),
                [(name, f"{seconds[name]:.2f}", f"{memory[name]:.0f}") for name in found],
            )
        ],
        {"start": found},
    )


def _resident(pid: int) -> float:
    """Megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _bare_import(ours: Environment) -> tuple[float, float]:
    before = time.perf_counter()
    done = subprocess.run([ours.python, "-c", _BARE], capture_output=True, text=True, check=True)
    return time.perf_counter() - before, int(done.stdout) * 1024 / 1e6
