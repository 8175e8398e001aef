"""Data sets: adding 1 GiB, adding it again with 1 % more rows, writing it out, and listing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.home import home
from bench.report import Figure

SIZE = 1 << 30
ROWS = SIZE // 100
_BLOCK = 1 << 20

# A process of its own for each: its peak is what the hub's would be, and no other measure's.
_CHILD = """
import json, sys, time
from pathlib import Path
from shipway.clock import SystemClock
from shipway.data import Access, DataSets, ObjectStores
from shipway.oci import Layout
root, what, path = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
sets = DataSets(Layout(root), SystemClock(), ObjectStores(Access({}, lambda name: {})))
start = time.perf_counter()
if what == "add":
    size = sets.add("raw", path, {})[0].size
else:
    size = sets.resolve("raw").size
    sets.write(sets.descriptor("raw"), path)
seconds = time.perf_counter() - start
stored = sum(one.stat().st_size for one in (root / "blobs" / "sha256").iterdir())
# Not getrusage's: that counts what the parent had when it forked.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = int(status["VmHWM"].split()[0]) * 1024
print(json.dumps({"rate": size / seconds / 1e6, "peak": peak / 1e6, "stored": stored / 1e6}))
"""


def data(repeat: int) -> Iterator[Figure]:
    """Each sample begins with an empty layout."""
    samples: dict[str, list[float]] = {}
    with home() as place:
        folder = place.path.parent
        for _ in range(max(1, min(repeat, 3))):  # a gigabyte four times over is enough of a disk
            for name, value in _round(folder).items():
                samples.setdefault(name, []).append(value)
        place.run("hub", "start")
        listing = tuple(place.timed("data", "ls") * 1e3 for _ in range(repeat))
    for name, bar in _BARS.items():
        yield Figure(name, name.rpartition(", ")[2], tuple(samples[name]), bar)
    yield Figure("shipway data ls", "ms", listing, 250)


_ADD, _WRITE = "data add of 1 GiB", "data pull of 1 GiB into a folder"
_APPENDED, _INSERTED = "stored for 1 % of rows appended", "stored for 1 % of rows inserted"
_BARS: dict[str, float | None] = {
    f"{_ADD}, MB/s": None,
    f"{_ADD}, peak memory, MB": 150,
    f"{_APPENDED}, MB": 2 * ROWS / 1e6,
    f"{_INSERTED}, MB": 2 * ROWS / 1e6,
    f"{_WRITE}, MB/s": None,
    f"{_WRITE}, peak memory, MB": 150,
}


def _round(folder: Path) -> dict[str, float]:
    layout, table, out = folder / "oci", folder / "table.csv", folder / "out"
    _write(table, SIZE)
    first = _child(layout, "add", table)
    with table.open("ab") as file:
        _fill(file.fileno(), ROWS)
    appended = _child(layout, "add", table)
    _insert(table, SIZE // 2 + 12_345)
    inserted = _child(layout, "add", table)
    written = _child(layout, "write", out)
    for one in (layout, out):
        shutil.rmtree(one)
    table.unlink()
    values = (
        first["rate"],
        first["peak"],
        appended["stored"] - first["stored"],
        inserted["stored"] - appended["stored"],
        written["rate"],
        written["peak"],
    )
    return dict(zip(_BARS, values, strict=True))


def _child(layout: Path, what: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-c", _CHILD, str(layout), what, str(path)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        _fill(file.fileno(), size)


def _fill(descriptor: int, size: int) -> None:
    with open("/dev/urandom", "rb") as noise, open(descriptor, "wb", closefd=False) as out:  # noqa: PTH123
        for start in range(0, size, _BLOCK):
            out.write(noise.read(min(_BLOCK, size - start)))


def _insert(path: Path, at: int) -> None:
    longer = path.with_suffix(".longer")
    with path.open("rb") as source, longer.open("wb") as out:
        for start in range(0, at, _BLOCK):
            out.write(source.read(min(_BLOCK, at - start)))
        out.flush()
        _fill(out.fileno(), ROWS)
        shutil.copyfileobj(source, out, _BLOCK)
    longer.replace(path)
