"""A hub whose wall clock is off by the seconds in a file: ``python skewed_hub.py FILE``. For tests only.

A time namespace shifts no wall clock, and the machine's own clock is everybody's.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from shipway import app
from shipway.clock import SystemClock, wall


def skewed(file: Path) -> datetime:
    """What the clock shows."""
    text = file.read_text()
    return wall() + timedelta(seconds=float(text or 0))


if __name__ == "__main__":
    vars(app)["SystemClock"] = partial(SystemClock, partial(skewed, Path(sys.argv[1])))
    sys.exit(app.main([]))
