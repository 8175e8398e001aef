"""Reads files for what must not get into an image, and remembers which were clean.

How far: text up to 64 MiB whole; of anything larger, and of a binary file above 2 MiB (weights, archives), the first
and the last MiB. What is compressed inside cannot be seen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import UserError
from shipway.image.context import forbidden
from shipway.image.context.forbidden import Finding
from shipway.image.listing import keep
from shipway.snapshot import IGNORE_FILE, SnapshotFile

_SMALL = 2 << 20  # bytes: read whole, whatever it is
_TEXT = 64 << 20
_END = 1 << 20
_PEEK = 8 << 10
_BATCH = 1 << 20  # of content, searched at once
_PER_FILE = 100  # findings: a log with a million tokens needs no million lines of error
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Read:
    name: str
    content: bytes
    is_text: bool


Statuses = Mapping[str, os.stat_result]


def scan(files: Sequence[SnapshotFile], statuses: Statuses, memory: Path | None) -> tuple[Finding, ...]:
    """All secrets in the files; ``memory`` is the file that says which files were clean when they were as they are now.

    Raises UserError, with all names in it, for files that cannot be read.
    """
    known = _recalled(memory)
    marks = {file.name: _mark(statuses[file.name]) for file in files}
    changed = [file for file in files if known.get(file.name) != marks[file.name]]
    unreadable: list[str] = []
    found = tuple(_scan(changed, statuses, unreadable))
    if unreadable:
        count = f"{len(unreadable)} files" if len(unreadable) > 1 else "a file"
        raise UserError(
            f"{count} of the folder cannot be read:\n{listed(unreadable)}",
            next_step=f"Change the permissions, or exclude what cannot be read in {IGNORE_FILE}.",
        )
    for finding in found:
        marks.pop(finding.name, None)
    if memory is not None and marks != known:
        keep(memory, json.dumps({"rules": _rules(), "clean": marks}))
    return found


def listed(lines: Sequence[str]) -> str:
    """The first lines of many, and how many more there are; a name that would move a terminal's cursor is escaped."""
    rest = [f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    shown = [one if one.isprintable() else one.encode("unicode_escape").decode() for one in lines[:_SHOWN]]
    return "\n".join([*shown, *rest])


def _scan(files: Sequence[SnapshotFile], statuses: Statuses, unreadable: list[str]) -> Iterator[Finding]:
    batch: list[_Read] = []
    gathered = 0
    for file in files:
        try:
            batch.append(_read(file, statuses[file.name].st_size))
        except OSError as error:
            unreadable.append(f"  {file.name}: {error.strerror}")
            continue
        gathered += len(batch[-1].content)
        if gathered >= _BATCH:
            yield from _findings(batch)
            batch, gathered = [], 0
    yield from _findings(batch)


def _findings(batch: Sequence[_Read]) -> Iterator[Finding]:
    hints = forbidden.hints_in(b"".join(one.content for one in batch))
    for one in batch:
        found = forbidden.findings(one.name, one.content, is_text=one.is_text, hints=hints)
        yield from itertools.islice(found, _PER_FILE)


def _read(file: SnapshotFile, size: int) -> _Read:
    with file.path.open("rb", buffering=0) as stream:
        content = stream.read(min(size, _SMALL))
        is_text = b"\0" not in content[:_PEEK]
        if size <= _SMALL:
            return _Read(file.name, content, is_text)
        if is_text and size <= _TEXT:
            return _Read(file.name, content + stream.read(size - _SMALL), is_text)
        stream.seek(-_END, os.SEEK_END)
        # Lines of the end have no number that is known.
        return _Read(file.name, content[:_END] + b"\n" + stream.read(_END), is_text=False)


# -- what was clean: 10,000 files of 3 kB are read and searched in half a second, and asked for their marks in 0.06 s


def _mark(status: os.stat_result) -> str:
    # ctime tells of a change that kept size and mtime (cp -p, touch -r); it cannot be set.
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _rules() -> str:
    """What found the files clean; other rules must look again."""
    return hashlib.sha256(Path(forbidden.__file__).read_bytes() + Path(__file__).read_bytes()).hexdigest()


def _recalled(memory: Path | None) -> dict[str, str]:
    if memory is None:
        return {}
    try:
        document = json.loads(memory.read_bytes())
        return dict(document["clean"]) if document["rules"] == _rules() else {}
    except (OSError, ValueError, KeyError, TypeError):  # a memory that is damaged is none
        return {}
