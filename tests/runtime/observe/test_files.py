"""The prediction log's Parquet, read by another library than the one that writes it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shipway.runtime.server.calls import Array, Parameters
from shipway.runtime.server.observe.predictions.prediction import Prediction

pytestmark = pytest.mark.extras

HOUR = 3600.0
NOW = 1_700_000_000.0
HEADS = ["time", "id", "row", "model", "version", "workload", "status", "milliseconds", "parameters"]


def _prediction(
    id_: str = "a",
    inputs: Mapping[str, Array] | None = None,
    outputs: Mapping[str, Array] | None = None,
    *,
    time: float = NOW,
    model: str = "digits",
    status: int = 200,
    parameters: Parameters | None = None,
) -> Prediction:
    given = {"x": np.arange(6.0).reshape(2, 3)} if inputs is None else inputs
    answered = {"y": np.array([1, 2])} if outputs is None else outputs
    return Prediction(time, id_, model, "1", status, 1.5, parameters or {}, given, answered)


def _files(folder: Path, writer: str = "r0", max_size: int = 2**26) -> Any:
    from shipway.runtime.server.observe.predictions.files import Files

    return Files(folder, writer, "digits-7", max_size)


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _read(folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return [row for name in _names(folder) for row in pyarrow.parquet.ParquetFile(folder / name).read().to_pylist()]


def _write(folder: Path, *predictions: Prediction) -> list[dict[str, Any]]:
    outcome = _files(folder).add(predictions, NOW)
    assert outcome.trouble is None
    assert outcome.kept == len(predictions)
    return _read(folder)


def test_a_line_for_each_row(tmp_path: Path) -> None:
    first, second = _write(tmp_path, _prediction(parameters={"t": 1, "s": "ä"}))
    assert list(first) == [*HEADS, "inputs.x", "outputs.y"]
    assert first["time"].timestamp() == NOW
    assert json.loads(first["parameters"]) == {"t": 1, "s": "ä"}
    assert {name: second[name] for name in second if name not in ("time", "parameters")} == {
        "id": "a",
        "row": 1,
        "model": "digits",
        "version": "1",
        "workload": "digits-7",
        "status": 200,
        "milliseconds": 1.5,
        "inputs.x": [3, 4, 5],
        "outputs.y": 2,
    }


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
)
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 4), (5, 0), (5, 2, 0, 3), (5, 1, 1, 1)])
def test_values_come_back_exactly(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    import pyarrow.parquet

    random = np.random.default_rng(7)
    array = random.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    values = np.frombuffer(array, dtype="uint8" if dtype == "bool" else dtype).reshape(shape)
    values = (values % 2).astype(bool) if dtype == "bool" else values
    rows = _write(tmp_path, _prediction("a", {"x": values}, {}), _prediction("b", {"x": values[:2]}, {}))
    np.testing.assert_array_equal(
        np.array([row["inputs.x"] for row in rows], dtype), np.array([*values.tolist(), *values[:2].tolist()], dtype)
    )
    (name,) = _names(tmp_path)
    type_ = pyarrow.parquet.read_schema(tmp_path / name).field("inputs.x").type
    for _ in shape[1:]:
        type_ = type_.value_type
    assert str(type_) == {"float32": "float", "float64": "double"}.get(dtype, dtype)


def test_half_precision_is_widened_and_nan_stays(tmp_path: Path) -> None:
    values = np.array([[1.5, np.nan, np.inf]], dtype=np.float16)
    (row,) = _write(tmp_path, _prediction(inputs={"x": values}, outputs={"y": np.array([1])}))
    assert np.array_equal(np.array(row["inputs.x"], np.float16), values[0], equal_nan=True)


def test_texts_and_bytes(tmp_path: Path) -> None:
    texts = {"t": np.array(["ä", ""], dtype=object), "u": np.array([["cat"], ["dog"]])}
    raw = {"b": np.array([b"\xff\x00", "x"], dtype=object)}
    rows = _write(tmp_path, _prediction(inputs=texts, outputs=raw))
    assert [row["inputs.t"] for row in rows] == ["ä", ""]
    assert [row["inputs.u"] for row in rows] == [["cat"], ["dog"]]
    assert [row["outputs.b"] for row in rows] == [b"\xff\x00", b"x"]


def test_tensors_that_do_not_count_the_same_rows_are_one_line(tmp_path: Path) -> None:
    inputs = {"image": np.arange(4.0).reshape(2, 2), "scale": np.array(3)}
    (row,) = _write(tmp_path, _prediction(inputs=inputs, outputs={"y": np.array([0.5])}))
    assert (row["row"], row["inputs.image"], row["inputs.scale"], row["outputs.y"]) == (
        None,
        [[0, 1], [2, 3]],
        3,
        [0.5],
    )


def test_requests_of_several_lengths_are_in_one_file(tmp_path: Path) -> None:
    tokens = [np.arange(length).reshape(1, length) for length in (3, 0, 5)]
    rows = _write(tmp_path, *(_prediction(str(len(one[0])), {"x": one}, {"y": np.array([1])}) for one in tokens))
    assert [row["inputs.x"] for row in rows] == [[0, 1, 2], [], [0, 1, 2, 3, 4]]


def test_what_a_request_has_not_is_null(tmp_path: Path) -> None:
    outputs = {"label": np.array(["a", "b"]), "p": np.ones((2, 2)), "score": np.array([1, 2]), "m": np.ones((2, 1, 1))}
    failed = _prediction("failed", outputs={}, status=500, time=NOW - 1)
    some = _prediction("some", outputs={"p": np.zeros((2, 2))}, time=NOW + 1)
    rows = _write(tmp_path, failed, _prediction("all", outputs=outputs), some)
    names = [f"outputs.{name}" for name in sorted(outputs)]
    assert [[row["id"], *(row[name] for name in names)] for row in rows[::2]] == [
        ["failed", None, None, None, None],
        ["all", "a", [[1]], [1, 1], 1],
        ["some", None, None, [0, 0], None],
    ]
    assert len(_names(tmp_path)) == 1


def test_other_types_are_another_file_and_models_have_folders(tmp_path: Path) -> None:
    _write(
        tmp_path,
        _prediction("a"),
        _prediction("b", {"x": np.zeros((1, 1), np.float32)}, {"y": np.array([1])}),
        _prediction("c", model="a/../b"),
    )
    assert sorted(name.split("/")[0] for name in _names(tmp_path)) == ["a%2F..%2Fb", "digits", "digits"]


def test_the_newest_file_grows_until_it_is_large_or_old(tmp_path: Path) -> None:
    files = _files(tmp_path)
    for number in range(3):
        files.add([_prediction(str(number))], NOW + number)
    assert len(_names(tmp_path)) == 1
    assert [row["id"] for row in _read(tmp_path)] == ["0", "0", "1", "1", "2", "2"]
    files.add([_prediction("old")], NOW + HOUR)
    files.add([_prediction("next")], NOW + HOUR + 1)
    assert len(_names(tmp_path)) == 2
    files.add([_prediction("large", {"x": np.zeros((2, 2**20))})], NOW + HOUR + 2)
    files.add([_prediction("last")], NOW + HOUR + 3)
    assert len(_names(tmp_path)) == 3


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    _write(tmp_path / "log", _prediction())
    (name,) = _names(tmp_path / "log")
    path = tmp_path / "log" / name
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


def test_the_oldest_files_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).random((2, 20_000))
    files = _files(tmp_path, max_size=2**20)
    for hour in range(6):
        assert files.add([_prediction(str(hour), {"x": noise})], NOW + hour * HOUR).kept == 1
    assert sum((tmp_path / name).stat().st_size for name in _names(tmp_path)) <= 2**20
    assert {row["id"] for row in _read(tmp_path)} == {"3", "4", "5"}


def test_what_is_larger_than_all_may_be_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    files = _files(tmp_path, max_size=2**20)
    files.add([_prediction("small")], NOW)
    outcome = files.add([_prediction("large", {"x": np.random.default_rng(7).random((2, 100_000))})], NOW + HOUR)
    assert outcome.kept == 0
    assert "predictionLog.maxSize" in str(outcome.trouble)
    assert {row["id"] for row in _read(tmp_path)} == {"small"}


def test_a_disk_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _files(tmp_path)
    files.add([_prediction("before")], NOW)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        outcome = files.add([_prediction("lost")], NOW + 1)
    assert (outcome.kept, str(outcome.trouble)) == (0, "[Errno 28] No space left on device")
    assert len(_names(tmp_path)) == 1
    assert {row["id"] for row in _read(tmp_path)} == {"before"}
    files.add([_prediction("after")], NOW + 2)
    assert {row["id"] for row in _read(tmp_path)} == {"before", "after"}


def test_drafts_of_a_replica_that_was_killed_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for writer in ("r0", "r1"):
        (folder / f"20231114T221320Z-{writer}-1.draft").write_text("half")
    _files(tmp_path)
    assert _names(tmp_path) == ["digits/20231114T221320Z-r1-1.draft"]


def test_two_replicas_and_a_restart_in_the_same_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for number, writer in enumerate(("r0", "r1", "r0")):
        _files(tmp_path, writer).add([_prediction(str(number))], NOW)
    assert {row["id"] for row in _read(tmp_path)} == {"0", "1", "2"}
