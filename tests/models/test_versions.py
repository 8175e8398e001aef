"""Versions: packed whole or not at all, numbered without gaps, never twice for one run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import Corrupt, NotFound, UserError
from shipway.models import Lineage, Versions, artifact
from shipway.oci import Layout, Manifest
from shipway.testing.clock import FakeClock

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
Output = Callable[..., Path]

FILES = {
    "model.joblib": b"\x80\x04weights",
    "metrics.json": b'{"accuracy": 0.97}',
    "README.md": b"# Digits",
    "code/predictor.py": b"class Digits: ...",
}
LINEAGE = Lineage(
    run="digits-1",
    job="digits",
    fingerprint="sha256:" + "f" * 64,
    components={"source": "sha256:" + "a" * 64, "platform": "linux-x86_64"},
    params={"c": 1.5, "kernel": "rbf", "probability": True},
    metrics={"accuracy": 0.97, "loss": 0.0},
    gate="failed",
    gate_reason="accuracy 0.97 < 0.98",
    requirements=("scikit-learn==1.9.1",),
    lock=("numpy==2.4.6", "scikit-learn==1.9.1"),
    source="sha256:" + "a" * 64,
)


def _lineage(run: int, **fields: str) -> Lineage:
    return Lineage(run=f"digits-{run}", job="digits", fingerprint=fields.get("fingerprint", f"f{run}"))


def test_a_version_is_what_went_in(versions: Versions, output: Output) -> None:
    made = versions.pack("digits", output(FILES), LINEAGE)
    assert versions.list("digits") == (made,)
    assert versions.names() == ("digits",)
    assert (made.number, made.format, made.run, made.gate) == (1, "sklearn-joblib", "digits-1", "failed")
    assert (made.fingerprint, made.gate_reason, made.origin) == (LINEAGE.fingerprint, LINEAGE.gate_reason, "job")
    assert made.metrics == {"accuracy": 0.97, "loss": 0.0}
    assert made.size == sum(len(content) for content in FILES.values())
    assert made.created_at == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert versions.lineage("digits", 1) == LINEAGE.made_at(made.created_at)


def test_equal_content_and_lineage_are_one_digest(
    versions: Versions, clock: FakeClock, output: Output, tmp_path: Path
) -> None:
    elsewhere = Versions(Layout(tmp_path / "elsewhere"), clock)
    elsewhere.pack("digits", output({"m.onnx": b"1"}, "first"), _lineage(7))
    again = elsewhere.pack("digits", output(FILES, "copy"), LINEAGE)
    assert again.digest == versions.pack("digits", output(FILES), LINEAGE).digest
    assert again.number == 2


def test_numbers_grow_by_one_and_each_model_counts_alone(versions: Versions, output: Output) -> None:
    made = [versions.pack("digits", output(FILES), _lineage(run)).number for run in range(1, 12)]
    assert made == list(range(1, 12)) == [one.number for one in versions.list("digits")]
    assert versions.pack("digits-two", output(FILES), _lineage(1)).number == 1
    assert versions.names() == ("digits", "digits-two")


def test_the_same_run_is_packed_once(versions: Versions, layout: Layout, output: Output) -> None:
    folder = output(FILES)
    first = versions.pack("digits", folder, LINEAGE)
    assert Versions(layout, FakeClock()).pack("digits", folder, LINEAGE) == first
    shutil.rmtree(folder)  # the output may be gone by then
    assert versions.pack("digits", folder, LINEAGE) == first
    assert len(versions.list("digits")) == 1


def test_a_run_id_that_comes_again_with_another_fingerprint_is_another_run(versions: Versions, output: Output) -> None:
    versions.pack("digits", output(FILES), _lineage(1, fingerprint="before the job was deleted"))
    assert versions.pack("digits", output(FILES), _lineage(1, fingerprint="after")).number == 2


def test_an_import_is_known_by_its_files(versions: Versions, output: Output) -> None:
    imported = Lineage(origin="import", source="sha256:" + "b" * 64)
    first = versions.pack("digits", output(FILES), imported)
    assert versions.pack("digits", output(FILES, "copy"), imported) == first
    assert versions.pack("digits", output({**FILES, "more": b""}, "more"), imported).number == 2
    assert versions.pack("digits", output(FILES), _lineage(1)).number == 3


@pytest.mark.parametrize("files", [{}, {"folder/": b""}])
def test_no_output_is_the_users_error(versions: Versions, tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in files:
        (folder / name).mkdir()
    with pytest.raises(UserError, match=r"(?s)no version of digits.*\$SHIPWAY_OUTPUT_DIR"):
        versions.pack("digits", folder, LINEAGE)
    assert versions.list("digits") == ()


def test_links_are_followed_inside_the_output_only(versions: Versions, layout: Layout, output: Output) -> None:
    folder = output({"blobs/1": b"weights"})
    (folder / "model.onnx").symlink_to("blobs/1")
    assert versions.pack("digits", folder, _lineage(1)).format == "onnx"
    (folder / "secret").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="secret points to /etc/passwd"):
        versions.pack("digits", folder, _lineage(2))


def test_a_removed_model_is_forgotten_with_all_its_versions(versions: Versions, output: Output) -> None:
    for run in (1, 2):
        versions.pack("digits", output(FILES), _lineage(run))
    kept = versions.pack("digits-two", output(FILES), _lineage(1))
    versions.remove("digits")
    versions.remove("digits")
    assert (versions.names(), versions.list("digits-two")) == (("digits-two",), (kept,))
    assert versions.pack("digits", output(FILES), _lineage(2)).number == 1


def test_an_unknown_version_names_those_that_there_are(versions: Versions, output: Output) -> None:
    versions.pack("digits", output(FILES), LINEAGE)
    with pytest.raises(NotFound, match=r"(?s)digits has no version 9.*Versions of digits: 1\."):
        versions.lineage("digits", 9)
    with pytest.raises(NotFound, match=r"Versions of other: none\."):
        versions.lineage("other", 1)


def test_a_damaged_manifest_is_named(versions: Versions, layout: Layout, output: Output) -> None:
    made = versions.pack("digits", output(FILES), LINEAGE)
    manifest = artifact.manifest_of(layout, layout.resolve("digits:1"))
    path = layout.blob_path(manifest.digest)
    path.write_bytes(path.read_bytes().replace(b"0.97", b"0.99"))
    with pytest.raises(Corrupt, match=manifest.digest):
        Versions(layout, FakeClock()).lineage("digits", 1)
    assert Versions(layout, FakeClock()).list("digits") == (made,), "a list needs no manifest"


def test_an_artifact_of_another_tool_is_not_taken_for_a_version(versions: Versions, layout: Layout) -> None:
    config = layout.put_blob(b"{}")
    layout.put_manifest(Manifest(config, ()), tag="digits:1")
    with pytest.raises(Corrupt, match=r"names something else: .* is no model"):
        versions.list("digits")


_text = st.text(max_size=20)


@PROPERTY
@given(
    st.builds(
        Lineage,
        run=_text,
        job=_text,
        fingerprint=_text,
        components=st.dictionaries(_text, _text),
        params=st.dictionaries(_text, st.booleans() | st.integers() | st.floats(allow_nan=False) | _text),
        metrics=st.dictionaries(_text, st.floats(allow_nan=False)),
        gate=st.sampled_from(["passed", "failed", "none"]),
        gate_reason=_text,
        origin=st.sampled_from(["job", "import", "pulled"]),
        created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        requirements=st.lists(_text).map(tuple),
        lock=st.lists(_text).map(tuple),
        source=st.none() | st.text(min_size=1),
    )
)
def test_a_lineage_survives_json(lineage: Lineage) -> None:
    assert Lineage.from_json(json.loads(json.dumps(lineage.to_json()))) == lineage


def test_a_lineage_of_a_later_shipway_can_be_read() -> None:
    assert Lineage.from_json({"run": "digits-1", "weather": "fine"}) == Lineage(run="digits-1")
