"""The hub's log is rotated under the descriptors of the process that writes it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # starts a Python: the descriptors are a process's own

# As the hub does it: its stdout and stderr are the log, and not all that it writes goes through logging.
HUB = """
import logging, os, sys
from pathlib import Path
from shipway import hub_log
handler = hub_log.HubLog(Path(sys.argv[1]), size=1000, files=3)
logging.basicConfig(handlers=[handler], level=logging.INFO)
for number in range(int(sys.argv[2])):
    logging.getLogger("hub").info("line %03d", number)
    if number % 10 == 0:
        os.write(2, b"a crash speaks for itself\\n")
        print("and so does print", flush=True)
"""


def run(log: Path, lines: int, stderr: Path | None = None) -> None:
    with log.open("ab") as out, (stderr or log).open("ab") as err:
        subprocess.run([sys.executable, "-c", HUB, log, str(lines)], stdout=out, stderr=err, check=True)


def numbers(*files: Path) -> list[int]:
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [int(line.rpartition(" ")[2]) for line in lines if " hub: line " in line]


def test_no_line_is_lost_and_the_size_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    run(log, 200)
    files = [tmp_path / "hub.log.2", tmp_path / "hub.log.1", log]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(one.stat().st_size < 1200 for one in files)
    found = numbers(*files)
    assert found == list(range(found[0], 200)), "in their order, without a gap"
    text = "".join(one.read_text() for one in files)
    assert "a crash speaks for itself" in text and "and so does print" in text
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_hub_in_a_terminal_leaves_the_file_alone(tmp_path: Path) -> None:
    log, terminal = tmp_path / "hub.log", tmp_path / "terminal"
    log.write_text("x" * 5000)
    run(log, 0, terminal)
    run(log, 50, terminal)
    assert sorted(tmp_path.iterdir()) == [log, terminal]
    assert numbers(terminal) == list(range(50))


def test_a_log_that_is_full_at_the_start_gives_way_at_once(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    log.write_text("old\n" * 500)
    run(log, 1)
    assert (tmp_path / "hub.log.1").read_text().startswith("old\n")
    assert log.stat().st_size < 200
