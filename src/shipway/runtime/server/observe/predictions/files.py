"""The Parquet files of the prediction log: ``DATA_DIR/predictions/MODEL/TIME-WRITER-NUMBER.parquet``.

The newest file of a model is written anew, whole, each time when something is added, until it is large or old: so every
file that has its name is complete at any time, and there are a few large ones instead of many small ones.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.observe.predictions.columns import HEADS, Layout, Tables, fits, layout
from shipway.runtime.server.observe.predictions.prediction import Prediction

_FILE_SIZE = 16 * 2**20  # bytes of tensors, before compression
_FILE_AGE = 3600.0  # seconds
_OPEN = 8  # files that grow at a time: more only where callers name tensors as they like
_DRAFT = ".draft"


_Key = tuple[str, str, Layout]  # model, version


class Outcome(Struct, frozen=True):
    """How many are kept, and the last of what went wrong with the others."""

    kept: int
    trouble: Exception | None = None


class _Growing(Struct):
    """A file that is still added to, and what is in it."""

    path: Path
    columns: Layout
    since: float
    batches: list[Any] = []
    size: int = 0


class Files:
    """All files below a folder, which other replicas may use, too. ``writer`` is part of the names. Not for several
    threads."""

    def __init__(self, folder: Path, writer: str, workload: str, max_size: int) -> None:
        """Raises ModelRefused when the library is not there or the folder cannot be written."""
        try:
            arrow = importlib.import_module("arro3.core")
            self._write_parquet = importlib.import_module("arro3.io").write_parquet
        except ImportError as error:
            raise ModelRefused(f"predictionLog needs arro3: {error}; pip install 'shipway[predictions]'") from error
        self._tables = Tables(arrow, workload)
        self._arrow = arrow
        self._folder = folder
        self._writer = writer
        self._max_size = max_size
        self._file_size = min(_FILE_SIZE, max_size // 4)
        self._growing: dict[_Key, _Growing] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for draft in folder.glob(f"*/*-{writer}-*{_DRAFT}"):
                draft.unlink()  # of this replica, before it was killed
        except OSError as error:
            raise ModelRefused(f"the prediction log cannot use {folder}: {error.strerror}") from error

    def add(self, predictions: Sequence[Prediction], now: float) -> Outcome:
        """When it returns they are in files, except for those whose file could not be written: it is as it was."""
        sorted_in: dict[_Key, list[Prediction]] = {}
        layouts = [(layout(one), one) for one in predictions]
        for columns, one in sorted(layouts, key=lambda pair: len(pair[0]), reverse=True):
            sorted_in.setdefault(self._place(one, columns, sorted_in), []).append(one)
        kept, trouble = 0, None
        for key, members in sorted_in.items():
            try:
                self._extend(key, sorted(members, key=lambda one: one.time), now)
                kept += len(members)
            except Exception as error:  # of the disk, or of the library's; the other files may have more luck
                trouble = error
        return Outcome(kept, trouble)

    def _place(self, one: Prediction, columns: Layout, also: Iterable[_Key]) -> _Key:
        """A file that has all of its columns, or else one of its own."""
        for model, version, known in (*self._growing, *also):
            if (model, version) == (one.model, one.version) and fits(columns, known):
                return model, version, known
        return one.model, one.version, columns

    def _extend(self, key: _Key, members: Sequence[Prediction], now: float) -> None:
        file = self._growing.get(key) or self._begin(key, now)
        batches = [*file.batches, *self._tables.batches(members, file.columns)]
        self._replace(file, batches)
        file.batches = batches
        file.size += sum(one.size for one in members)
        if file.size < self._file_size and 0 <= now - file.since < _FILE_AGE:
            self._growing[key] = file
            if len(self._growing) > _OPEN:
                del self._growing[min(self._growing, key=lambda one: self._growing[one].since)]
        else:
            self._growing.pop(key, None)

    def _begin(self, key: _Key, now: float) -> _Growing:
        folder = self._folder / quote(key[0], safe="")
        folder.mkdir(exist_ok=True, mode=0o700)
        time = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        names = (folder / f"{time}-{self._writer}-{number}.parquet" for number in count(1))
        return _Growing(next(path for path in names if not path.exists()), key[2], now)

    def _replace(self, file: _Growing, batches: list[Any]) -> None:
        draft = file.path.with_suffix(_DRAFT)
        try:
            draft.touch(mode=0o600)
            reader = self._arrow.RecordBatchReader.from_batches(self._tables.schema(file.columns), batches)
            self._write_parquet(
                reader,
                str(draft),
                compression="zstd(1)",
                dictionary_enabled=False,  # numbers of tensors seldom come twice
                column_dictionary_enabled=dict.fromkeys(HEADS, True),
            )
            _sync(draft)
            self._make_room(draft.stat().st_size, file.path)
            draft.rename(file.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    def _make_room(self, size: int, own: Path) -> None:
        """Delete the oldest files until there is room for one of that size. Raises OSError when it is too large."""
        if size > self._max_size:
            raise OSError(f"{size} bytes are more than predictionLog.maxSize ({self._max_size} bytes) allows")
        sizes: dict[Path, int] = {}
        for path in self._folder.glob("*/*.parquet"):
            with contextlib.suppress(FileNotFoundError):  # another replica makes room, too
                sizes[path] = path.stat().st_size
        sizes.pop(own, None)
        total = size + sum(sizes.values())
        for path in sorted(sizes, key=lambda path: path.name):
            if total <= self._max_size:
                return
            path.unlink(missing_ok=True)
            total -= sizes[path]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
