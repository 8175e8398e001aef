"""Blobs that come in parts: in any order, again after a kill, by one process at a time, and never a wrong one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipway.errors import Corrupt, EnvironmentFault, Refused
from shipway.oci import Descriptor, Digest, Fetch, Layout, Lease, fetching
from shipway.oci.encrypted import Encrypted

MEGABYTE = 1 << 20
CONTENT = random.Random(1).randbytes(3 * MEGABYTE + 5)
BLOB = Descriptor("application/x", Digest.of(CONTENT), len(CONTENT))


@pytest.fixture(params=["plain", "encrypted"])
def layout(tmp_path: Path, request: pytest.FixtureRequest) -> Layout:
    return Layout(tmp_path / "oci") if request.param == "plain" else Layout(tmp_path / "oci", Encrypted(bytes(32)))


@pytest.fixture
def lease(layout: Layout) -> Iterator[Lease]:
    with layout.lease("test") as made:
        yield made


def begun(layout: Layout, lease: Lease, blob: Descriptor = BLOB) -> Fetch:
    fetch = layout.fetch(blob, lease)
    assert fetch is not None
    return fetch


def write(fetch: Fetch, parts: list[tuple[int, int]]) -> None:
    for start, end in parts:
        fetch.write(CONTENT[start:end], start)


def files(layout: Layout) -> list[str]:
    return sorted(path.name for path in layout.partials.iterdir())


def test_parts_come_in_any_order_from_any_thread(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        parts = list(fetch.missing(100_000))
        assert sum(end - start for start, end in parts) == BLOB.size
        random.Random(2).shuffle(parts)
        threads = [threading.Thread(target=write, args=(fetch, parts[number::4])) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (fetch.missing(), fetch.kept) == ((), BLOB.size)
        fetch.finish()
    assert layout.read_blob(BLOB) == CONTENT
    assert files(layout) == []


@pytest.mark.parametrize("size", [0, 1, MEGABYTE, MEGABYTE + 1])
def test_every_size_comes_whole(layout: Layout, lease: Lease, size: int) -> None:
    blob = Descriptor("", Digest.of(CONTENT[:size]), size)
    with begun(layout, lease, blob) as fetch:
        fetch.write(CONTENT[:size], 0)
        fetch.finish()
    assert layout.read_blob(blob) == CONTENT[:size]


def test_what_is_there_is_not_fetched_again(layout: Layout, lease: Lease) -> None:
    layout.put_blob(CONTENT, lease=lease)
    with begun(layout, lease) as fetch:
        assert fetch.whole
    assert files(layout) == []


def test_the_next_try_begins_where_this_one_broke(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[:MEGABYTE], 0)
        fetch.write(CONTENT[2 * MEGABYTE : 3 * MEGABYTE], 2 * MEGABYTE)
    with begun(layout, lease) as fetch:
        assert fetch.missing() == ((MEGABYTE, 2 * MEGABYTE), (3 * MEGABYTE, BLOB.size))
        for start, end in fetch.missing():
            fetch.write(CONTENT[start:end], start)
        fetch.finish()
    assert layout.read_blob(BLOB) == CONTENT


def test_bytes_that_are_known_are_not_taken_again(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[: 2 * MEGABYTE], 0)
        fetch.write(b"x" * MEGABYTE + CONTENT[2 * MEGABYTE :], MEGABYTE)
        fetch.finish()
    assert layout.read_blob(BLOB) == CONTENT


def test_wrong_bytes_are_thrown_away(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[:-1] + b"x", 0)
        with pytest.raises(Corrupt, match=f"do not have the digest {BLOB.digest}"):
            fetch.finish()
        assert fetch.missing() == ((0, BLOB.size),)
        assert not layout.has_blob(BLOB)
        fetch.write(CONTENT, 0)
        fetch.finish()
    assert layout.read_blob(BLOB) == CONTENT


def test_too_few_bytes_are_no_blob_and_stay_for_the_next_try(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[:MEGABYTE], 0)
        with pytest.raises(Corrupt, match=f"{BLOB.size - MEGABYTE} bytes of {BLOB.digest} did not come"):
            fetch.finish()
    assert not layout.has_blob(BLOB)
    with begun(layout, lease) as fetch:
        assert fetch.kept == MEGABYTE


def test_more_bytes_than_announced_are_refused(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch, pytest.raises(Refused, match="more bytes come"):
        fetch.write(CONTENT + b"x", 0)


def test_another_size_is_another_beginning(layout: Layout, lease: Lease) -> None:
    liar = Descriptor("", BLOB.digest, BLOB.size - 1)
    with begun(layout, lease, liar) as fetch:
        fetch.write(b"x" * MEGABYTE, 0)
    with begun(layout, lease) as fetch:
        assert fetch.missing() == ((0, BLOB.size),)


def test_one_at_a_time(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        assert layout.fetch(BLOB, lease) is None
        assert Layout(layout.root, layout.blobs.cipher).fetch(BLOB, lease) is None
        fetch.write(CONTENT, 0)
        fetch.finish()
        with begun(layout, lease) as other:  # the file has another name now
            assert other.whole
    assert layout.read_blob(BLOB) == CONTENT


def test_lines_without_their_bytes_are_not_believed(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT, 0)
    (layout.partials / BLOB.digest.hex).unlink()
    with begun(layout, lease) as fetch:
        assert fetch.kept == 0


def test_a_line_that_was_cut_is_not_believed(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[:MEGABYTE], 0)
    with (layout.partials / f"{BLOB.digest.hex}.ranges").open("a") as file:
        file.write(f"{MEGABYTE} 99999999999\n{2 * MEGABYTE} {3 * MEGABYTE}")
    with begun(layout, lease) as fetch:
        assert fetch.kept in (MEGABYTE, 2 * MEGABYTE)  # the last line may be whole but for its end


def test_a_list_of_something_else_is_not_believed(layout: Layout, lease: Lease) -> None:
    with begun(layout, lease) as fetch:
        fetch.write(CONTENT[:MEGABYTE], 0)
    (layout.partials / f"{BLOB.digest.hex}.ranges").write_bytes(b"\xff\xfe\n0 " + b"9" * 5000 + b"\n0 77\n")
    with begun(layout, lease) as fetch:
        assert fetch.kept == 77


def test_who_ends_does_not_wait_for_the_digest(layout: Layout, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_, go_on = threading.Event(), threading.Event()
    ready = Fetch._ready

    def slow(self: Fetch) -> int:
        begun_.set()
        go_on.wait()
        return ready(self)

    monkeypatch.setattr(fetching, "CHUNK", 1000)
    fetch = begun(layout, lease)
    monkeypatch.setattr(Fetch, "_ready", slow)
    fetch.write(CONTENT, 0)
    begun_.wait()
    ending = threading.Thread(target=fetch.close)
    ending.start()
    while not fetch._closing:
        time.sleep(0.001)
    go_on.set()
    ending.join()
    assert fetch._hashed <= 1000, "one piece at most was under way"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
def test_what_cannot_begin_leaves_nothing_open(layout: Layout, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    lease.hold(BLOB.digest)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", full)
        with pytest.raises(EnvironmentFault, match="No space left"):
            layout.fetch(BLOB, lease)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


def test_a_sweep_leaves_alone_what_has_just_become_a_blob(
    layout: Layout, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = begun(layout, lease)
    fetch.write(CONTENT, 0)
    real = os.open
    done: list[object] = []

    def opening(path: str | Path, *arguments: int) -> int:
        if not done and str(path) == str(layout.partials / BLOB.digest.hex):
            done.append(path)
            if when == "before":
                finished()
                return real(path, *arguments)
            file = real(path, *arguments)
            finished()
            (layout.partials / BLOB.digest.hex).write_text("another's")
            return file
        return real(path, *arguments)

    def finished() -> None:
        fetch.finish()
        fetch.close()

    when = "before"
    monkeypatch.setattr(os, "open", opening)
    assert fetching.sweep(layout.partials, ()) == {}
    layout.blobs.remove(BLOB.digest)
    fetch = begun(layout, lease)
    fetch.write(CONTENT, 0)
    when, done[:] = "after", []
    assert fetching.sweep(layout.partials, ()) == {}
    assert (layout.partials / BLOB.digest.hex).read_text() == "another's"


_KILLED = """
import os, signal, sys
from pathlib import Path
from shipway.oci import Descriptor, Digest, Layout
layout, size = Layout(Path(sys.argv[1])), int(sys.argv[3])
with layout.lease("pull") as lease:
    fetch = layout.fetch(Descriptor("", Digest(sys.argv[2]), size), lease)
    fetch.write(sys.stdin.buffer.read(), 0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killed_it_resumes_in_another_process(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    arguments = [sys.executable, "-c", _KILLED, str(tmp_path), BLOB.digest, str(BLOB.size)]
    done = subprocess.run(arguments, input=CONTENT[:MEGABYTE], check=False)
    assert done.returncode == -signal.SIGKILL
    assert dict(layout.leases.held()) == {BLOB.digest: "pull"}, "the dead lease keeps it for an hour"
    with layout.lease("again") as lease, begun(layout, lease) as fetch:
        assert fetch.missing() == ((MEGABYTE, BLOB.size),)
        fetch.write(CONTENT[MEGABYTE:], MEGABYTE)
        fetch.finish()
    assert layout.read_blob(BLOB) == CONTENT


_TOGETHER = """
import sys, time
from pathlib import Path
from shipway.oci import Descriptor, Digest, Layout
content = b"a" * 3_000_000
layout, blob = Layout(Path(sys.argv[1])), Descriptor("", Digest.of(content), len(content))
with layout.lease("pull") as lease:
    while (fetch := layout.fetch(blob, lease)) is None:
        time.sleep(0.01)
    with fetch:
        if not fetch.whole:
            for start, end in fetch.missing(500_000):
                fetch.write(content[start:end], start)
            fetch.finish()
            print("fetched")
assert layout.read_blob(blob) == content
"""


@pytest.mark.slow
def test_of_ten_processes_one_fetches(tmp_path: Path) -> None:
    Layout(tmp_path)
    arguments = [sys.executable, "-c", _TOGETHER, str(tmp_path)]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    assert "".join(said) == "fetched\n"


_FULL = """
import resource, sys
from pathlib import Path
from shipway.errors import EnvironmentFault
from shipway.oci import Descriptor, Digest, Layout
layout, content = Layout(Path(sys.argv[1])), b"a" * 1_000_000
with layout.lease("pull") as lease:
    fetch = layout.fetch(Descriptor("", Digest.of(content), len(content)), lease)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))  # write(2) fails as on a full disk
    try:
        fetch.write(content, 0)
    except EnvironmentFault as error:
        print(error)
    fetch.close()
"""


@pytest.mark.slow
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    Layout(tmp_path)
    done = subprocess.run([sys.executable, "-c", _FULL, tmp_path], capture_output=True, text=True, check=True)
    assert f"cannot write {tmp_path}/partial/" in done.stdout
    assert list((tmp_path / "blobs" / "sha256").iterdir()) == []


def test_no_room_at_all_is_told(layout: Layout, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "ftruncate", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        layout.fetch(BLOB, lease)
