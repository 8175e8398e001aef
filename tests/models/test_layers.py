"""Layers: which files share one, the same bytes everywhere, and only what changed is new."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.kinds import ModelVersion
from shipway.models import Lineage, Materials, Versions, artifact, layers, modelpack
from shipway.models.modelpack import Form
from shipway.oci import Descriptor, Layout, Manifest
from shipway.oci.unpack import files
from shipway.snapshot import SnapshotFile
from shipway.testing.clock import FakeClock

Output = Callable[..., Path]
FILES = {
    "model.joblib": b"\x80\x04weights",
    "metrics.json": b'{"accuracy": 0.97}',
    "README.md": b"# Digits",
    "code/predictor.py": b"class Digits: ...",
    "rows.csv": b"1,2",
}
LINEAGE = Lineage(run="digits-1", fingerprint="f")


def _model(layout: Layout, version: ModelVersion) -> Manifest:
    return artifact.opened(layout, _descriptor(layout, version))


def _descriptor(layout: Layout, version: ModelVersion) -> Descriptor:
    return next(one for one in layout.index().tags.values() if one.digest == version.digest)


def _by_file(manifest: Manifest) -> dict[str, str]:
    return {layer.annotations[modelpack.FILEPATH]: layer.digest for layer in manifest.layers}


@pytest.mark.parametrize("form", ["tar", "tar+zstd", "raw"])
def test_the_artifact_is_a_modelpack(versions: Versions, layout: Layout, output: Output, form: Form) -> None:
    version = versions.pack("digits", output(FILES), LINEAGE, form=form)
    manifest = _model(layout, version)
    assert manifest.artifact_type == "application/vnd.cncf.model.manifest.v1+json"
    assert manifest.config.media_type == "application/vnd.cncf.model.config.v1+json"
    assert {layer.annotations["org.cncf.model.filepath"]: layer.media_type for layer in manifest.layers} == {
        "README.md": f"application/vnd.cncf.model.doc.v1.{form}",
        "code/predictor.py": f"application/vnd.cncf.model.code.v1.{form}",
        "metrics.json": f"application/vnd.cncf.model.weight.config.v1.{form}",
        "model.joblib": f"application/vnd.cncf.model.weight.v1.{form}",
        "rows.csv": f"application/vnd.cncf.model.dataset.v1.{form}",
    }
    for layer in manifest.layers:
        assert layer.annotations["org.cncf.model.file.mediatype.untested"] == "true"
        metadata = json.loads(layer.annotations["org.cncf.model.file.metadata+json"])
        assert set(metadata) == {"name", "mode", "uid", "gid", "size", "mtime", "typeflag"}
        assert metadata["size"] == len(FILES[metadata["name"]])
    assert version.size == sum(map(len, FILES.values()))


@pytest.mark.parametrize("form", ["tar", "tar+zstd", "raw"])
def test_the_config_keeps_the_schema(versions: Versions, layout: Layout, output: Output, form: Form) -> None:
    """schema/config-schema.json of model-spec v1: three required keys, no others, nor in their parts; one diffId a
    layer."""
    manifest = _model(layout, versions.pack("digits", output(FILES), LINEAGE, form=form))
    config = json.loads(layout.read_blob(manifest.config))
    diff_ids = config["modelfs"].pop("diffIds")
    assert config == {
        "descriptor": {"name": "digits", "createdAt": "2026-01-01T12:00:00+00:00"},
        "config": {"format": "sklearn-joblib"},
        "modelfs": {"type": "layers"},
    }
    assert len(diff_ids) == len(manifest.layers)
    if form != "tar+zstd":
        assert diff_ids == [layer.digest for layer in manifest.layers]


def test_diff_ids_are_of_the_bytes_before_compression(versions: Versions, layout: Layout, output: Output) -> None:
    plain = _model(layout, versions.pack("digits", output(FILES), LINEAGE))
    small = _model(layout, versions.pack("digits", output(FILES), Lineage(run="digits-2"), form="tar+zstd"))
    diff_ids = json.loads(layout.read_blob(small.config))["modelfs"]["diffIds"]
    assert diff_ids == [layer.digest for layer in plain.layers]
    assert small.annotations[modelpack.CONTENT] == plain.annotations[modelpack.CONTENT]


def test_the_twin_names_the_same_blobs(versions: Versions, layout: Layout, output: Output) -> None:
    version = versions.pack("digits", output(FILES), LINEAGE)
    index = layout.read_index(_descriptor(layout, version))
    platforms = [one.extra["platform"] for one in index.manifests]
    assert platforms == [
        {"architecture": "unknown", "os": "unknown"},
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    model, *images = (layout.read_manifest(one) for one in index.manifests)
    for image, platform in zip(images, platforms[1:], strict=True):
        assert image.artifact_type is None
        assert image.config.media_type == "application/vnd.oci.image.config.v1+json"
        assert [one.digest for one in image.layers] == [one.digest for one in model.layers]
        assert {one.media_type for one in image.layers} == {"application/vnd.oci.image.layer.v1.tar"}
        config = json.loads(layout.read_blob(image.config))
        assert {name: config[name] for name in ("architecture", "os")} == platform
        assert config["rootfs"] == {"type": "layers", "diff_ids": [one.digest for one in model.layers]}


def test_raw_has_no_twin(versions: Versions, layout: Layout, output: Output) -> None:
    version = versions.pack("digits", output(FILES), LINEAGE, form="raw")
    assert _descriptor(layout, version).media_type == "application/vnd.oci.image.manifest.v1+json"
    assert _by_file(_model(layout, version)) == {
        name: layout.put_blob(content).digest for name, content in FILES.items()
    }


def test_the_tar_of_a_layer_holds_nothing_of_this_machine(versions: Versions, layout: Layout, output: Output) -> None:
    folder = output(FILES)
    (folder / "code" / "predictor.py").chmod(0o700)
    os.utime(folder / "code" / "predictor.py", (1, 1))
    manifest = _model(layout, versions.pack("digits", folder, LINEAGE))
    layer = next(one for one in manifest.layers if one.annotations[modelpack.FILEPATH] == "code/predictor.py")
    with tarfile.open(fileobj=io.BytesIO(layout.read_blob(layer))) as tar:
        found = [(one.name, one.type, one.mode, one.mtime, one.uid, one.gid, one.uname) for one in tar]
    assert found == [
        ("code", tarfile.DIRTYPE, 0o755, 0, 0, 0, ""),
        ("code/predictor.py", tarfile.REGTYPE, 0o755, 0, 0, 0, ""),
    ]


# Whoever changes these makes every unchanged model travel again.
GOLDEN = {
    "tar": "sha256:0c481598ae73d243c2e4cad0aa39847e5fa455aee63653626cbe27ba5e424f16",
    "raw": "sha256:6f3db408e1596716d12f52fe8e15aa1ec82177d9145a3f26c5d9e41640fe61f9",
}


@pytest.mark.parametrize("form", ["tar", "raw"])
def test_equal_files_are_equal_layers_on_every_machine(
    versions: Versions, layout: Layout, output: Output, form: Form
) -> None:
    manifest = _model(layout, versions.pack("digits", output(FILES), LINEAGE, form=form))
    assert manifest.annotations[modelpack.CONTENT] == GOLDEN[form]


@pytest.mark.parametrize("count", [20, 80])
def test_an_edited_file_changes_its_own_layer(
    versions: Versions, layout: Layout, output: Output, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(layers, "LARGE", 100)
    small = {f"part-{number:03}.safetensors": b"w" * 200 for number in range(count)}
    folder = output({**small, "config.json": b"{}"})
    before = _by_file(_model(layout, versions.pack("digits", folder, Lineage(run="digits-1"))))
    (folder / "part-007.safetensors").write_bytes(b"v" * 300)
    after = _by_file(_model(layout, versions.pack("digits", folder, Lineage(run="digits-2"))))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"part-007.safetensors"}
    assert before.keys() == after.keys()


def _files(sizes: dict[str, int]) -> tuple[SnapshotFile, ...]:
    return tuple(SnapshotFile(name, Path(name)) for name in sizes)


def _grouped(sizes: dict[str, int]) -> list[tuple[str, list[str]]]:
    return [(one.kind, [file.name for file in one.files]) for one in layers.grouped(_files(sizes), sizes)]


def test_up_to_sixty_files_each_has_a_layer() -> None:
    sizes = {f"{number}.json": 1 for number in range(layers.OWN)}
    assert _grouped(sizes) == [("weight.config", [name]) for name in sorted(sizes)]


def test_many_small_files_of_a_kind_share_a_layer() -> None:
    texts = {f"vocab/{number:03}.txt": 10 for number in range(layers.OWN)}
    sizes = {**texts, "b.py": 1, "a.py": 1, "model.safetensors": layers.LARGE, "tiny.bin": 1}
    assert _grouped(sizes) == [
        ("code", ["a.py", "b.py"]),
        ("weight", ["model.safetensors"]),
        ("weight", ["tiny.bin"]),
        ("weight.config", sorted(texts)),
    ]


def test_a_twin_can_be_mounted_however_many_files_there_are() -> None:
    shards = {f"model-{number:05}-of-01000.safetensors": layers.LARGE for number in range(1000)}
    kinds = {f"{number}{end}": 1 for number in range(100) for end in (".json", ".md", ".py", ".csv", ".bin")}
    groups = _grouped({**shards, **kinds})
    assert len(groups) <= layers.MOST + 5 < 120
    assert sorted(name for _, names in groups for name in names) == sorted({**shards, **kinds})
    assert groups == _grouped(dict(reversed({**shards, **kinds}.items())))
    edited = _grouped({**shards, **kinds, "model-00007-of-01000.safetensors": 2 * layers.LARGE})
    assert edited == groups


@pytest.mark.parametrize("form", ["tar", "tar+zstd"])
def test_files_that_share_a_layer_come_back(
    versions: Versions, layout: Layout, output: Output, materials: Materials, form: Form
) -> None:
    many = {f"a/b{number % 3}/{number:03}.json": str(number).encode() for number in range(70)}
    version = versions.pack("digits", output({**many, "a/x.onnx": b"weights"}), LINEAGE, form=form)
    shared, own = _model(layout, version).layers
    assert shared.annotations[modelpack.FILEPATH] == "a"
    assert own.annotations[modelpack.FILEPATH] == "a/x.onnx"
    folder = materials.materialise(version.digest)
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {**many, "a/x.onnx": b"weights"}
    assert (version.format, version.size) == ("onnx", sum(map(len, found.values())))


@pytest.mark.parametrize("form", ["tar", "raw"])
def test_a_file_that_changes_meanwhile_is_named(versions: Versions, output: Output, form: Form) -> None:
    folder = output({"model.onnx": b"weights" * 1000})

    def grow(stream: object, media_type: str) -> Descriptor:
        stream.read(100)  # type: ignore[attr-defined]
        with (folder / "model.onnx").open("ab") as file:
            file.write(b"more")
        while stream.read(100):  # type: ignore[attr-defined]
            pass
        raise AssertionError("the change was not seen")

    with pytest.raises(UserError, match=r"model\.onnx changed while it was read"):
        layers.write((SnapshotFile("model.onnx", folder / "model.onnx"),), form, grow)


def test_a_name_that_no_image_can_hold(versions: Versions, output: Output, materials: Materials) -> None:
    folder = output({"code/.wh.weights": b"1"})
    with pytest.raises(UserError, match=r"(?s)code/\.wh\.weights cannot be a file of an image.*--raw"):
        versions.pack("digits", folder, LINEAGE)
    made = versions.pack("digits", folder, LINEAGE, form="raw")
    assert (materials.materialise(made.digest) / "code" / ".wh.weights").read_bytes() == b"1"


def test_too_many_files_for_raw(monkeypatch: pytest.MonkeyPatch, versions: Versions, output: Output) -> None:
    monkeypatch.setattr(layers, "MOST_RAW", 2)
    with pytest.raises(UserError, match=r"5 files are too many for raw layers"):
        versions.pack("digits", output(FILES), LINEAGE, form="raw")


@pytest.mark.parametrize("form", ["tar", "tar+zstd"])
def test_large_files_take_a_few_chunks_of_memory(tmp_path: Path, form: Form) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(32 << 20)  # a hole: no bytes on the disk
    largest = 0

    def put(stream: object, media_type: str) -> Descriptor:
        nonlocal largest
        while data := stream.read(1 << 20):  # type: ignore[attr-defined]
            largest = max(largest, len(data))
        return Layout(tmp_path / "oci").put_blob(b"", media_type)

    layers.write((SnapshotFile("model.onnx", path),), form, put)
    assert largest <= 1 << 20


def test_a_reader_of_layers_sees_what_was_written(versions: Versions, layout: Layout, output: Output) -> None:
    manifest = _model(layout, versions.pack("digits", output(FILES), LINEAGE, form="tar+zstd"))
    found = {}
    for layer in manifest.layers:
        with layout.open_blob(layer) as blob:
            found.update({one.name: content.read(100) for one, content in files(blob, layer.media_type)})
    assert found == FILES


def test_another_clock_another_version_and_the_same_layers(
    versions: Versions, layout: Layout, output: Output, tmp_path: Path
) -> None:
    elsewhere = Layout(tmp_path / "elsewhere")
    there = Versions(elsewhere, FakeClock()).pack("digits", output(FILES, "copy"), LINEAGE)
    here = versions.pack("digits", output(FILES), LINEAGE)
    assert there.digest != here.digest
    assert _by_file(_model(elsewhere, there)) == _by_file(_model(layout, here))
