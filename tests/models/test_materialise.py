"""Artifacts as folders: verified, read-only, made once, made again when damaged."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from shipway.errors import Corrupt, NotFound, Refused, UserError
from shipway.models import Lineage, Materials, Snapshots, Versions, artifact, modelpack
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Layout, Manifest
from shipway.ports import Artifacts
from shipway.snapshot import collect_path, write_tar

Output = Callable[..., Path]
FILES = {"model.onnx": b"weights", "deep/er/config.json": b"{}", "run.sh": b"#!/bin/sh"}


@pytest.fixture
def model(versions: Versions, output: Output) -> str:
    folder = output(FILES)
    (folder / "run.sh").chmod(0o755)
    return versions.pack("digits", folder, Lineage(run="digits-1")).digest


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _snapshot(layout: Layout, path: Path) -> str:
    out = io.BytesIO()
    digest = write_tar(collect_path(path), out)
    return Snapshots(layout).store(digest, io.BytesIO(out.getvalue()))


def test_it_is_the_port(materials: Materials) -> None:
    port: Artifacts = materials
    assert port is materials


def test_a_model_becomes_its_files(materials: Materials, model: str, tmp_path: Path) -> None:
    folder = materials.materialise(model)
    assert folder == tmp_path / "cache" / "artifacts" / model.removeprefix("sha256:")
    assert _files(folder) == dict(sorted(FILES.items()))
    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder, *folder.rglob("*")]}
    assert (modes["model.onnx"], modes["run.sh"], modes["deep"], modes[folder.name]) == (0o400, 0o500, 0o500, 0o500)


def test_a_snapshot_of_a_folder_and_of_a_file(materials: Materials, layout: Layout, output: Output) -> None:
    source = output({"train.py": b"print(1)", "pkg/a.py": b""})
    assert _files(materials.materialise(_snapshot(layout, source))) == {"pkg/a.py": b"", "train.py": b"print(1)"}
    assert _files(materials.materialise(_snapshot(layout, source / "train.py"))) == {"train.py": b"print(1)"}


def test_made_once(materials: Materials, layout: Layout, model: str) -> None:
    folder = materials.materialise(model)
    before = folder.stat().st_ino
    assert Materials(layout, folder.parent.parent).materialise(model) == folder
    assert folder.stat().st_ino == before


@pytest.mark.parametrize("damage", ["missing", "cut", "unmarked", "garbled marker", "earlier boot", "replaced"])
def test_a_damaged_folder_is_made_again(materials: Materials, model: str, damage: str) -> None:
    folder = materials.materialise(model)
    folder.chmod(0o700)
    marker = folder.with_suffix(".json")
    match damage:
        case "missing":
            (folder / "model.onnx").unlink()
        case "cut":
            (folder / "model.onnx").chmod(0o600)
            (folder / "model.onnx").write_bytes(b"w")
        case "unmarked":
            marker.unlink()
        case "garbled marker":
            marker.write_bytes(b"{")
        case "earlier boot":
            marker.write_text(json.dumps({**json.loads(marker.read_bytes()), "boot": "another"}))
        case "replaced":
            (folder / "deep").rename(folder / "other")
            (folder / "deep").write_bytes(b"a file now")
    (folder / "not of the model").write_bytes(b"left by somebody")
    assert _files(materials.materialise(model)) == dict(sorted(FILES.items()))


def _write_into(path: Path, content: bytes) -> None:
    """As code does that hides it: mode and modification time are as before. A kernel's ctime may be a tick coarse."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.chmod(0o600)
        path.write_bytes(content)
        path.chmod(before.st_mode)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_a_job_wrote_into_its_input_is_not_for_the_next(materials: Materials, model: str) -> None:
    folder = materials.materialise(model)
    _write_into(folder / "model.onnx", b"weightz")
    assert _files(materials.materialise(model)) == dict(sorted(FILES.items()))


@pytest.mark.parametrize("target", ["gone", "deep", "model.onnx", None])
def test_what_a_job_added_to_its_input_is_not_for_the_next(
    materials: Materials, model: str, target: str | None
) -> None:
    folder = materials.materialise(model)
    (folder / "deep").chmod(0o700)
    added = folder / "deep" / "added"
    added.write_bytes(b"") if target is None else added.symlink_to(folder / target)
    assert not (materials.materialise(model) / "deep" / "added").is_symlink()
    assert _files(folder) == dict(sorted(FILES.items()))


def test_an_empty_artifact_needs_its_folder_too(materials: Materials, layout: Layout) -> None:
    digest = _artifact(layout)
    folder = materials.materialise(digest)
    folder.rmdir()
    assert materials.materialise(digest).is_dir()


def test_what_a_killed_process_left_is_replaced(materials: Materials, model: str) -> None:
    folder = materials.materialise(model)
    folder.rename(folder.with_suffix(".part"))
    (folder.with_suffix(".part")).chmod(0o700)
    (folder.with_suffix(".part") / "half").write_bytes(b"half")
    assert _files(materials.materialise(model)) == dict(sorted(FILES.items()))
    assert not folder.with_suffix(".part").exists()


def test_an_unknown_digest(materials: Materials, layout: Layout) -> None:
    with pytest.raises(NotFound, match="no snapshot, no model version and no data set"):
        materials.materialise(Digest.of(b"nothing"))
    with pytest.raises(UserError, match="not a digest"):
        materials.materialise("digits:1")


@pytest.mark.parametrize("content", [b"weightz", b"w", None])
def test_a_damaged_blob_never_becomes_a_folder(
    materials: Materials, layout: Layout, model: str, content: bytes | None
) -> None:
    layers = artifact.opened(layout, layout.resolve("digits:1")).layers
    layer = next(one for one in layers if modelpack.file_of(one) == "model.onnx")
    path = layout.blob_path(layer.digest)
    whole = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(Corrupt, match=layer.digest):
        materials.materialise(model)
    assert not list((layout.root.parent / "cache" / "artifacts").glob("[0-9a-f]*[0-9a-f]"))
    path.write_bytes(whole)
    assert (materials.materialise(model) / "model.onnx").read_bytes() == b"weights"


def test_a_flipped_byte_in_a_snapshot_is_found(materials: Materials, layout: Layout, output: Output) -> None:
    digest = Digest(_snapshot(layout, output({"train.py": b"print(1)"})))
    path = layout.blob_path(digest)
    for damaged in (path.read_bytes().replace(b"print(1)", b"print(2)"), b"\xff" * path.stat().st_size):
        path.write_bytes(damaged)
        with pytest.raises(Corrupt, match=digest):
            materials.materialise(digest)


def _artifact(layout: Layout, *layers: Descriptor) -> str:
    layout.put_blob(EMPTY_CONFIG_BYTES)
    return layout.put_manifest(Manifest(EMPTY_CONFIG, layers, modelpack.MANIFEST_TYPE), tag="other:1").digest


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_name_cannot_leave_the_folder(materials: Materials, layout: Layout, tmp_path: Path, name: str) -> None:
    blob = layout.put_blob(b"x", modelpack.media_type("weight", "raw"))
    with pytest.raises(Refused, match="leaves the folder"):
        materials.materialise(_artifact(layout, blob.annotated({modelpack.FILEPATH: name})))
    assert not list(tmp_path.rglob("evil"))


def test_layers_that_cannot_be_unpacked(materials: Materials, layout: Layout) -> None:
    with pytest.raises(Refused, match=r"tar\+xz cannot be unpacked"):
        materials.materialise(_artifact(layout, layout.put_blob(b"x", "application/vnd.cncf.model.weight.v1.tar+xz")))
    with pytest.raises(Corrupt, match="does not say which file it is"):
        materials.materialise(_artifact(layout, layout.put_blob(b"x", modelpack.media_type("weight", "raw"))))


_PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar+gzip": gzip.compress,
    ".tar+zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("end", _PACKED)
def test_a_tar_layer_of_another_tool(materials: Materials, layout: Layout, output: Output, end: str) -> None:
    out = io.BytesIO()
    write_tar(collect_path(output({"model.onnx": b"weights"})), out)
    blob = layout.put_blob(_PACKED[end](out.getvalue()), f"application/vnd.cncf.model.weight.v1{end}")
    assert _files(materials.materialise(_artifact(layout, blob))) == {"model.onnx": b"weights"}


def test_a_layer_that_holds_more_than_it_says_is_refused(materials: Materials, layout: Layout, output: Output) -> None:
    out = io.BytesIO()
    write_tar(collect_path(output({"model.onnx": b"weights" * 100})), out)
    blob = layout.put_blob(gzip.compress(out.getvalue()), "application/vnd.cncf.model.weight.v1.tar+gzip")
    said = modelpack.of_file("model.onnx", 699, executable=False)
    with pytest.raises(Refused, match=r"expands to more than 699 bytes with 'model.onnx' \(700 bytes\)"):
        materials.materialise(_artifact(layout, blob.annotated(said)))


def test_one_file_in_two_layers_is_refused(materials: Materials, layout: Layout) -> None:
    blob = layout.put_blob(b"x", modelpack.media_type("weight", "raw")).annotated({modelpack.FILEPATH: "a/b"})
    with pytest.raises(Refused, match="'b' twice"):
        materials.materialise(_artifact(layout, blob, blob))


def test_what_another_room_packed_it_writes(layout: Layout, tmp_path: Path) -> None:
    def write(layout: Layout, descriptor: Descriptor, folder: Path) -> None:
        (folder / "rows.csv").write_bytes(layout.read_blob(layout.read_manifest(descriptor).layers[0]))

    materials = Materials(layout, tmp_path / "cache", {"application/vnd.shipway.dataset.v1": write})
    layout.put_blob(EMPTY_CONFIG_BYTES)
    manifest = Manifest(EMPTY_CONFIG, (layout.put_blob(b"1,2"),), "application/vnd.shipway.dataset.v1")
    digest = layout.put_manifest(manifest, tag="data/rows:1").digest
    assert _files(materials.materialise(digest)) == {"rows.csv": b"1,2"}
