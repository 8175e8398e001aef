"""``python -m shipway.runtime.optimize``: the job of ``shipway models optimize``.

The files of its input ``model`` are copied to the output, and the faster form beside them. When the original is kept,
there is no new version to make: exit code 1, and the reason as the last line.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path

from shipway.runtime.errors import ModelRefused
from shipway.runtime.optimize.compare import Tolerance
from shipway.runtime.optimize.run import Options, optimize
from shipway.runtime.sdk import inputs, log_metrics, output_dir, params


def main() -> None:
    """Exit codes: 0 taken, 1 the original is kept."""
    warnings.simplefilter("ignore")  # of converters about each other's names: nothing that a user could act on
    output = output_dir()
    _copy(inputs()["model"], output)
    try:
        verdict = optimize(output, _options())
    except ModelRefused as refusal:
        sys.exit(f"shipway: optimize: kept the original: {refusal}")
    if verdict.timings:
        log_metrics(gain=verdict.gain, differing_rows=max((one.differing for one in verdict.differences), default=0))
    print(f"shipway: optimize: {verdict.reason}", file=sys.stderr, flush=True)
    if not verdict.taken:
        sys.exit(1)


def _options() -> Options:
    given = params(quantize="none")
    quantize = given.pop("quantize")
    tolerance = Tolerance(**{name: float(value) for name, value in given.items()})
    return Options(tolerance, quantize, allow_pickle=os.environ.get("SHIPWAY_ALLOW_PICKLE") == "1")


def _copy(version: Path, output: Path) -> None:
    shutil.copytree(version, output, copy_function=shutil.copyfile, dirs_exist_ok=True)
    for path in [output, *output.rglob("*")]:  # the version is read-only
        path.chmod(0o700 if path.is_dir() else 0o600)


if __name__ == "__main__":
    main()
