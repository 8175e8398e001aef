"""``python -m bench.serving``: our inference server beside its rivals, every answer checked."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bench.home import ROOT
from bench.machine import describe
from bench.serving import report
from bench.serving.cases import batching, digits, floor, grpc, image, start
from bench.serving.contest import Contest
from bench.serving.contestants import RIVALS
from bench.serving.environments import CACHE, PINS, ensure
from bench.serving.load import Torn
from bench.serving.payloads import make
from bench.serving.verdicts import Findings

CASES: dict[str, Callable[[Contest], Findings]] = {
    "sklearn": digits.sklearn,
    "onnx": digits.onnx,
    "floor": floor.floor,
    "grpc": grpc.grpc,
    "image": image.image,
    "batching": batching.batching,
    "start": start.start,
}
_CORES = 2  # the machines that the bars were measured on had two


def main() -> None:
    """Measure, print, and keep a whole run below bench/results."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as with Ctrl-C: what was started is ended
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])  # and with it all that is started below
    machine, today, began = describe(), datetime.now().astimezone().date(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sb-models-") as folder:
        rivals = [one.environment for one in RIVALS if not options.rivals or one.environment in options.rivals]
        versions = {name: ensure(name, options.environments).versions() for name in ("ours", *rivals)}
        payloads = make(ensure("ours", options.environments), Path(folder))
        contest = Contest(options.environments, payloads, options.rounds, options.seconds, tuple(options.rivals))
        tried = [_measured(name, contest) for name in options.only or CASES]
    findings = [one for one in tried if one is not None]
    minutes = (time.monotonic() - began) / 60
    how = (
        f"Server and load on the same {machine.cores} cores, one server up at a time, {options.rounds} rounds of "
        f"{options.seconds:g} s in turns, medians; {minutes:.0f} minutes."
    )
    page = report.to_markdown(findings, machine, today, versions, how)
    print(f"\n{page}\nFor the README:\n\n{report.for_readme(findings, machine, today)}")
    # A part of the cases or of the rivals is for the one who measures, not for the record.
    if len(findings) < len(tried):
        raise SystemExit(1)
    if not options.only and not options.rivals:
        path = report.write(page, findings, machine, today, versions, ROOT / "bench" / "results")
        print(f"\nwritten to {path.relative_to(ROOT)}")


def _options() -> argparse.Namespace:
    def names(allowed: list[str]) -> Callable[[str], list[str]]:
        def several(text: str) -> list[str]:
            found = text.split(",")
            unknown = sorted(set(found) - set(allowed))
            if unknown:
                raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}: choose from {', '.join(allowed)}")
            return found

        return several

    rivals = [one.environment for one in RIVALS]
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--only", type=names([*CASES]), default=[], help=f"some of {','.join(CASES)}")
    parser.add_argument("--rivals", type=names(rivals), default=[], help=f"some of {','.join(rivals)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured (default: 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement (default: 4)")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(os.environ.get("BENCH_ENVIRONMENTS") or CACHE),
        help=f"folder of the environments ({', '.join(PINS)}); default: $BENCH_ENVIRONMENTS or {CACHE}",
    )
    return parser.parse_args()


def _measured(name: str, contest: Contest) -> Findings | None:
    """What the case found; None, and a word about it, when a server gave up: the other cases still count."""
    print(f"{name} ...", flush=True)
    try:
        return CASES[name](contest)
    except (SystemExit, Torn, OSError) as problem:
        print(f"{name} could not be measured: {problem}", file=sys.stderr, flush=True)
        return None


if __name__ == "__main__":
    main()
