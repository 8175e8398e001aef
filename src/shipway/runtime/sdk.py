"""What user code imports: log metrics, find the folders and values that the job was given.

Standard library only, and cheap to import: it is the first line of every training script. All of it works
outside a job too, so that ``python train.py`` runs by hand.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading

TYPE_CHECKING = False  # not from typing: importing that costs more than all of this file
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any, SupportsFloat

_FRAME = "\x1eshipway-metrics "
_one_line_at_a_time = threading.Lock()


def log_metrics(
    metrics: Mapping[str, SupportsFloat] | None = None, /, step: int | None = None, **named: SupportsFloat
) -> None:
    """Record numbers of this run, at ``step`` of the training if given: ``log_metrics(loss=0.3, step=7)``.

    The mapping is for names that are no Python names (``{"val/loss": 0.3}``). The last value of a name is
    the run's value. Anything that ``float()`` takes as a number will do (NumPy scalars, tensors of one
    element). NaN and infinity have no form in JSON: they are not recorded, and a line on stderr says so.

    Raises TypeError, naming the metric, for a value that is no number (``bool`` and ``str`` included).
    Format: docs/contract.md, "Metrics of a job".
    """
    values = {_name(name): _number(name, value) for name, value in {**(metrics or {}), **named}.items()}
    at = None if step is None else _step(step)
    for name, value in values.items():
        if not math.isfinite(value):
            where = "" if at is None else f" at step {at}"
            print(f"shipway: metric {name!r} is {value}{where}: not recorded", file=sys.stderr)
    frame: dict[str, Any] = {"metrics": {name: value for name, value in values.items() if math.isfinite(value)}}
    if not frame["metrics"]:
        return
    if at is not None:
        frame["step"] = at
    line = f"{_FRAME}{json.dumps(frame)}\n"
    with _one_line_at_a_time:
        sys.stdout.write(line)  # one write: print() makes two, and another thread's text gets between them
        sys.stdout.flush()


def output_dir() -> Path:
    """The folder whose files become the model version; outside a job ``./output``, made when missing."""
    from pathlib import Path  # 4 ms in a bare interpreter, a third of what a short script takes to start

    given = os.environ.get("SHIPWAY_OUTPUT_DIR")
    folder = Path(given) if given else Path.cwd() / "output"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def inputs() -> dict[str, Path]:
    """The job's inputs: name to a read-only file or folder. Empty outside a job."""
    from pathlib import Path

    return {name: Path(path) for name, path in json.loads(os.environ.get("SHIPWAY_INPUTS") or "{}").items()}


def params(**defaults: Any) -> dict[str, Any]:
    """The job's ``params`` over these defaults: ``params(epochs=10)["epochs"]``."""
    return {**defaults, **json.loads(os.environ.get("SHIPWAY_PARAMS") or "{}")}


def save_sample(x: Any, y: Any = None) -> None:
    """Keep rows of ``x`` with the model version, as its service's requests will bring them: an array (a DataFrame, a
    list, a tensor), or a mapping of them by the names of the inputs; ``y``, if given, is what the model answers.

    The first 64 rows are kept. The server warms up with them, an optimised form of the model is compared on them, and
    they tell of a model that does not know its own shapes (TorchScript, your own format) what it takes. Call it once,
    in the process that writes the model; a second call replaces the first. It needs NumPy.

    Raises TypeError for values that are neither numbers, bools nor text, ValueError for a value without rows.
    """
    from importlib import import_module

    import_module("shipway.runtime.recording").save(output_dir(), x, y)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a metric is a text that is not empty, got {name!r}")
    return name


def _number(name: str, value: object) -> float:
    if not type(value).__name__.startswith("bool"):  # numpy.bool_ would pass float() too
        if hasattr(value, "__float__"):
            try:
                return float(value)
            except (TypeError, ValueError) as error:
                raise TypeError(f"metric {name!r}: {error}") from error
        if hasattr(value, "__index__"):
            return float(value.__index__())
    raise TypeError(f"metric {name!r} must be a number, got {value!r} of type {type(value).__name__}")


def _step(step: object) -> int:
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"step must be a whole number, got {step!r} of type {type(step).__name__}")
    return int(step.__index__())
