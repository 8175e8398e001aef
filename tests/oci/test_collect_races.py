"""Writers, readers and the collection in many processes, killed at any line: no blob that is needed is ever missing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Set
from pathlib import Path

import pytest

from shipway.errors import Corrupt
from shipway.oci import Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.sweep import Marks, sweep

# Each version is of three of nine contents, so that writers meet blobs of others, alive and unreachable.
_WRITER = """
import random, sys
from pathlib import Path
from shipway.oci import Descriptor, Digest, Layout, Manifest, EMPTY_CONFIG, EMPTY_CONFIG_BYTES
layout, seed, rounds = Layout(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
luck = random.Random(seed)
contents = [bytes([number]) * 20_000 for number in range(9)]

def there(content, lease):
    blob = Descriptor("", Digest.of(content), len(content))
    way = luck.randrange(3)
    if way == 0:
        layout.put_blob(content, lease=lease)
    elif way == 1:
        lease.hold(blob.digest)
        if not layout.has_blob(blob):
            layout.put_blob(content, lease=lease)
    else:
        while (fetch := layout.fetch(blob, lease)) is None:
            pass
        with fetch:
            if not fetch.whole:
                for start, end in fetch.missing(7_000):
                    fetch.write(content[start:end], start)
                fetch.finish()
    return blob

for number in range(rounds):
    tag = f"w{seed}:{number}"
    with layout.lease(tag) as lease:
        layout.put_blob(EMPTY_CONFIG_BYTES, lease=lease)
        layers = tuple(there(content, lease) for content in luck.sample(contents, 3))
        model = layout.put_manifest(Manifest(EMPTY_CONFIG, layers), lease=lease)
        if luck.random() < 0.3:
            layout.attach(Manifest(EMPTY_CONFIG, (), "sig", {"of": tag}, model), lease=lease)
        layout.tag(model, tag)
    for blob in (model, *layers):
        layout.read_blob(blob)  # while it is tagged by us, it is there
    if luck.random() < 0.9:
        layout.untag(tag)
"""

_COLLECTOR = """
import sys
from pathlib import Path
from shipway.oci import Layout
from shipway.oci.sweep import Marks, sweep
layout = Layout(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    sweep(layout, Marks(layout.blobs))
"""


def whole(layout: Layout) -> None:
    """Each tag leads to what was written."""
    waiting = list(layout.tags().values())
    while waiting:
        found = layout.read_artifact(waiting.pop())
        if isinstance(found, Manifest):
            for blob in (found.config, *found.layers):
                layout.read_blob(blob)
        else:
            waiting.extend(found.manifests)


def started(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])


@pytest.mark.thorough
def test_nobody_loses_what_he_wrote(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    writers = [started(_WRITER, tmp_path, seed, 60) for seed in range(4)]
    collectors = [started(_COLLECTOR, tmp_path, 80) for _ in range(2)]
    assert [process.wait(timeout=300) for process in (*writers, *collectors)] == [0] * 6
    whole(layout)
    sweep(layout, Marks(layout.blobs))
    whole(layout)


@pytest.mark.thorough
def test_killed_at_any_line_nothing_is_wrong(tmp_path: Path) -> None:
    layout, luck = Layout(tmp_path), random.Random(5)
    for number in range(15):
        processes = [started(_WRITER, tmp_path, 100 + 2 * number + one, 1000) for one in range(2)]
        processes.append(started(_COLLECTOR, tmp_path, 1000))
        time.sleep(0.3 + luck.random() * 0.3)
        for process in processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        again = Layout(tmp_path)
        assert list((tmp_path / "tmp").iterdir()) == [], "opening it swept what they had begun"
        whole(again)
    sweep(layout, Marks(layout.blobs))
    whole(layout)


def test_what_another_collection_took_after_the_look_at_the_index_is_no_damage(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    gone, stays = (layout.put_manifest(Manifest(layout.put_blob(one), (layout.put_blob(one),))) for one in (b"a", b"b"))
    layout.tag(gone, "gone")
    layout.tag(stays, "stays")

    class Late(Marks):
        looks = 0

        def reachable(self, index: Index, held: Collection[Digest] = ()) -> Set[Digest]:
            self.looks += 1
            if self.looks == 1:
                layout.untag("gone")
                sweep(layout, Marks(layout.blobs))
            return super().reachable(index, held)

    assert sweep(layout, Late(layout.blobs)).blobs == {}
    assert layout.has_blob(stays) and not layout.has_blob(gone)
    layout.blobs.remove(stays.digest)
    with pytest.raises(Corrupt, match="missing"):
        sweep(layout, Marks(layout.blobs))


def test_a_blob_that_is_found_there_stays_until_it_is_tagged(tmp_path: Path) -> None:
    """The race in slow motion: looked, found, collected, tagged."""
    layout = Layout(tmp_path)
    blob = layout.put_blob(b"of a version that was deleted")
    with layout.lease("pack") as lease:
        lease.hold(blob.digest)
        assert layout.has_blob(Descriptor("", blob.digest, blob.size))
        sweep(Layout(tmp_path), Marks(layout.blobs))
        layout.put_manifest(Manifest(blob, ()), "a:1", lease=lease)
    sweep(layout, Marks(layout.blobs))
    whole(layout)
