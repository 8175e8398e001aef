"""``python -m shipway.runtime.optimize``: as a job of its own over a version, or on what a job has just written.

With an input ``model`` (``shipway models optimize``) its files are copied to the output, the faster form beside them;
when the original is kept, there is no new version to make: exit code 1 and the reason as the last line. Without one
(``optimize: auto``) the job's output is looked at, and whatever comes of it, the job has succeeded.
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
from shipway.runtime.optimize.verdict import Verdict
from shipway.runtime.sdk import inputs, log_metrics, output_dir, params


def main() -> None:
    """Exit codes: 0 taken (or beside a job's own output), 1 the original is kept."""
    warnings.simplefilter("ignore")  # of converters about each other's names: nothing that a user could act on
    version = inputs().get("model")
    if version is None:
        _report(_after_training(output_dir()))
        return
    output = output_dir()
    for path in version.iterdir():
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, output / path.name)
    _make_writable(output)
    verdict = optimize(output, _options())
    if verdict.timings:
        log_metrics(gain=verdict.gain, differing_rows=max((one.differing for one in verdict.differences), default=0))
    _report(verdict)
    if not verdict.taken:
        sys.exit(1)


def _after_training(output: Path) -> Verdict:
    try:
        return optimize(output)
    except ModelRefused as refusal:
        return Verdict.kept(str(refusal))
    except Exception as error:  # whatever it is, what was trained is whole
        return Verdict.kept(f"{type(error).__name__}: {error}")


def _options() -> Options:
    given = params(quantize="none")
    quantize = given.pop("quantize")
    return Options(Tolerance(**{name: float(value) for name, value in given.items()}), quantize)


def _report(verdict: Verdict) -> None:
    print(f"shipway: optimize: {verdict.reason}", file=sys.stderr, flush=True)


def _make_writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)


if __name__ == "__main__":
    os.umask(0o077)
    main()
