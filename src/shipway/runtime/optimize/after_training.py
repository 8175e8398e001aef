"""``optimize: auto``: look at what a job has just written. Whatever comes of it, the job has succeeded."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from shipway.runtime import recording
from shipway.runtime.errors import ModelRefused
from shipway.runtime.optimize.run import REPORT, Options, optimize
from shipway.runtime.optimize.verdict import Verdict


def after_training(folder: Path) -> None:
    """Optimize the model of the folder, and say on stderr what came of it; not again where it has been done."""
    if (folder / recording.FOLDER / REPORT).exists():
        return
    warnings.simplefilter("ignore")  # of converters about each other's names: nothing that a user could act on
    print(f"shipway: optimize: {_verdict(folder).reason}", file=sys.stderr, flush=True)


def _verdict(folder: Path) -> Verdict:
    try:
        return optimize(folder, Options(allow_pickle=True))  # this job has just written it
    except ModelRefused as refusal:
        return Verdict.kept(str(refusal))
    except Exception as error:  # whatever it is, what was trained is whole
        return Verdict.kept(f"{type(error).__name__}: {error}")
