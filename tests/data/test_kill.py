"""kill -9 in the middle of an add: nothing half is seen, and the same add ends what was begun."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shipway.data import DataSets
from shipway.oci import Layout
from shipway.oci.sweep import Marks, sweep
from tests.data.material import noise

MB = 1 << 20
# Ends itself as a kill does, once so many bytes were read: no handler, no `finally`.
ADD = """
import os, signal, sys
from pathlib import Path
from shipway.clock import SystemClock
from shipway.data import Access, DataSets, ObjectStores
from shipway.oci import Layout

def until(progress):
    if progress.done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

sets = DataSets(Layout(Path(sys.argv[1])), SystemClock(), ObjectStores(Access({}, lambda name: {})))
sets.add("raw", Path(sys.argv[2]), {}, until)
"""


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("at", [1, 7 * MB, 15 * MB, 16 * MB])
def test_an_add_that_is_killed_is_done_by_the_next_one(sets: DataSets, layout: Layout, tmp_path: Path, at: int) -> None:
    table = tmp_path / "table"
    table.write_bytes(noise(16 * MB))
    command = [sys.executable, "-c", ADD, str(layout.root), str(table), str(at)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert sets.latest() == ()
    sweep(layout, Marks(layout.blobs))  # the dead lease keeps what was begun
    begun = {one.name for one in layout.blobs.folder.iterdir()}
    assert sets.add("raw", table, {})[1]
    assert begun <= {one.name for one in layout.blobs.folder.iterdir()}
    sets.write(sets.descriptor("raw"), tmp_path / "out")
    assert (tmp_path / "out" / "table").read_bytes() == table.read_bytes()
