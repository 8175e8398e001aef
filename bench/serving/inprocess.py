"""What the model and the codec take without a server: one process, one call after another."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.home import ROOT
from bench.serving.environments import Environment
from bench.serving.payloads import Payload

_PROBE = Path(__file__).with_name("probe.py")


def measure(ours: Environment, what: str, payload: Payload, rows: int) -> float:
    """Milliseconds of the median call; ``what`` is one of probe.py."""
    done = subprocess.run(
        [ours.python, _PROBE, what, payload.folder, str(rows)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{_PROBE.name} {what} ended with {done.returncode}:\n{done.stderr}")
    return float(done.stdout)
