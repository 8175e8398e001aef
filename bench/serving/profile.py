"""``python -m bench.serving.profile``: our server under load, and which functions its CPU time goes to.

py-spy samples it from outside (Linux lets root and a process's own parent do that). Shares are of the samples in
which a thread was on the CPU; "own" is the function itself, "with callees" what it calls as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bench.serving.contest import Contest, saturate
from bench.serving.contestants import OURS
from bench.serving.environments import CACHE, Environment, ensure
from bench.serving.payloads import make
from bench.serving.running import Running
from bench.serving.samples import Sample


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving.profile", description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", choices=("sklearn", "onnx"), default="onnx")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=30, help="functions to print")
    parser.add_argument("--native", action="store_true", help="with functions of C and Rust; slows the server down")
    default = Path(os.environ.get("BENCH_ENVIRONMENTS") or CACHE)
    parser.add_argument("--environments", type=Path, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sb-models-") as folder:
        payloads = make(ensure("ours", options.environments), Path(folder))
        contest = Contest(options.environments, payloads, 1, options.seconds)
        spy = ensure("profiler", options.environments)
        with contest.running(OURS, payloads.digits(options.engine)) as server:
            plain = saturate(server, options.connections, options.seconds)
            record = Path(folder) / "stacks.txt"
            watched = _watched(server, spy, record, options)
        stacks = parse(record.read_text().splitlines())
    print(f"{plain.rate:.0f} requests/s, {watched.rate:.0f} while watched; {sum(stacks.values())} samples\n")
    print(table(stacks, options.rows))


def parse(lines: Iterable[str]) -> Counter[tuple[str, ...]]:
    """Stacks, outermost first, and how often each was seen. Source: py-spy's format "raw" (Brendan Gregg's)."""
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if stack:
            stacks[tuple(stack.split(";"))] += int(count)
    return stacks


def table(stacks: Counter[tuple[str, ...]], rows: int) -> str:
    """The functions with the largest own share."""
    total = sum(stacks.values()) or 1
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for name in set(stack):
            whole[name] += count
    lines = [f"| {count / total:6.1%} | {whole[name] / total:6.1%} | {name} |" for name, count in own.most_common(rows)]
    return "\n".join(["| own | with callees | function |", "|---|---|---|", *lines])


def _watched(server: Running, spy: Environment, record: Path, options: argparse.Namespace) -> Sample:
    """Load once more, with py-spy beside it."""
    arguments = [str(spy.program("py-spy")), "record", "--pid", str(server.pid), "--format", "raw", "--function"]
    arguments += ["--duration", str(round(options.seconds)), "--rate", "250", "--output", str(record)]
    if options.native:
        arguments.append("--native")
    found: list[subprocess.CompletedProcess[str]] = []
    beside = threading.Thread(
        target=lambda: found.append(subprocess.run(arguments, capture_output=True, text=True, check=False))
    )
    beside.start()
    sample = saturate(server, options.connections, options.seconds + 2)
    beside.join()
    if found[0].returncode:
        raise SystemExit(f"py-spy ended with {found[0].returncode}:\n{found[0].stderr}")
    return sample


if __name__ == "__main__":
    main()
