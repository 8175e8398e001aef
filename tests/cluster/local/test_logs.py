"""Writing with rotation, and reading along."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from shipway.bundle import LogLine
from shipway.cluster.local.logs import ReplicaLog, WorkloadLogs, parse, tail_text
from shipway.cluster.local.supervisor.logs import LONGEST_LINE, LineSplitter, LogFile, iso


def read(folder: Path, tail: int | None = None) -> list[LogLine]:
    with closing(WorkloadLogs(folder)) as log:
        return log.read(tail)


def test_lines_are_put_together() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == [b"one"]
    assert splitter.feed(b"o\r\n\nrest") == [b"two", b""]
    assert splitter.flush() == [b"rest"]
    assert splitter.flush() == []


def test_a_long_line_comes_in_pieces_and_loses_nothing() -> None:
    splitter = LineSplitter()
    data = bytes(range(65, 91)) * 10_000
    pieces = [piece for start in range(0, len(data), 1000) for piece in splitter.feed(data[start : start + 1000])]
    pieces += splitter.feed(b"\n") + splitter.flush()
    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} == {LONGEST_LINE}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "1970-01-01T00:00:00.000000Z"), (1.9999996, "1970-01-01T00:00:02.000000Z")]
)
def test_times(seconds: float, text: str) -> None:
    assert iso(seconds) == text


def test_a_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "replica-3.log"), size=1000, files=3)
    log.write("stderr", [b"ein Wort \xc3\xbc\xff  ", b""], 1.5)
    log.close()
    first, second = read(tmp_path)
    assert (first.replica, first.stream, first.text) == (3, "stderr", "ein Wort ü\ufffd  ")
    assert first.at.timestamp() == 1.5
    assert second.text == ""


@pytest.mark.parametrize("broken", [b"", b"half a lin", b"2026-01-01T00:00:00Z stdout", b"nonsense stdout text"])
def test_broken_lines_are_left_out(broken: bytes) -> None:
    assert parse(broken, 0) is None


def test_rotation_keeps_so_many_files_and_a_new_process_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "replica-0.log"
    for start in (0, 50):
        log = LogFile(str(path), size=500, files=3)
        for number in range(start, start + 50):
            log.write("stdout", [b"%d" % number], number)
        log.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["replica-0.log", "replica-0.log.1", "replica-0.log.2"]
    assert all(one.stat().st_size < 600 for one in tmp_path.iterdir())
    texts = [line.text for line in read(tmp_path)]
    assert texts == [str(number) for number in range(100 - len(texts), 100)]
    assert tail_text(path, 3) == "97\n98\n99"
    assert [line.text for line in read(tmp_path, 2)] == ["98", "99"]


def test_a_reader_loses_nothing_in_rotations(tmp_path: Path) -> None:
    path = tmp_path / "replica-0.log"
    log = LogFile(str(path), size=200, files=3)
    reader, seen = ReplicaLog(path, 0), []
    for number in range(100):
        log.write("stdout", [b"%d" % number], number)
        if number % 7 == 0:  # some rotations between two looks, but no more than are kept
            seen += reader.read()
    seen += reader.read()
    assert [line.text for line in seen] == [str(number) for number in range(100)]
    reader.close()
    log.close()


def test_replicas_are_merged_by_time(tmp_path: Path) -> None:
    logs = [LogFile(str(tmp_path / f"replica-{index}.log"), size=1000, files=1) for index in (0, 1)]
    for number in range(6):
        logs[number % 2].write("stdout", [b"%d" % number], number)
    for log in logs:
        log.close()
    both = WorkloadLogs(tmp_path)
    assert [line.text for line in both.read()] == list("012345")
    assert both.read() == []
    both.close()
    assert [line.text for line in read(tmp_path, 3)] == list("345")


def test_one_file_only(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "replica-0.log"), size=100, files=1)
    for number in range(30):
        log.write("stdout", [b"%d" % number], number)
    log.close()
    assert [one.name for one in tmp_path.iterdir()] == ["replica-0.log"]


def test_no_log_has_no_tail(tmp_path: Path) -> None:
    assert tail_text(tmp_path / "none.log") == ""
