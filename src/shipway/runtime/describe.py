"""``python -m shipway.runtime.describe``: after training, open what it left and record what it takes and gives.

Run where the training ran, so its packages are there, and its pickles are as trusted as its code was. It costs a look
at the folder where nothing is known of the files. It never fails: a version without a signature is whole.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from shipway.runtime.errors import ModelRefused
from shipway.runtime.formats import find, needs_code_elsewhere


def main() -> None:
    """Describe ``$SHIPWAY_OUTPUT_DIR``; a line on stderr where a model that is served cannot be opened."""
    folder = Path(os.environ.get("SHIPWAY_OUTPUT_DIR") or "output")
    try:
        file = find(folder)
    except (ModelRefused, OSError):  # its own format, or several: a predictor knows what to do with them
        return
    if needs_code_elsewhere(file):
        return
    try:
        import_module("shipway.runtime.server.loading.describing").describe(folder)
        if os.environ.get("SHIPWAY_OPTIMIZE") == "auto":
            import_module("shipway.runtime.optimize.after_training").after_training(folder)
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"shipway: the version gets no signature: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
