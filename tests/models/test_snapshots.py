"""Snapshots are kept under the digest of their bytes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.models import Snapshots, Versions
from shipway.oci import Layout
from shipway.snapshot import collect, write_tar


@pytest.fixture
def snapshot(tmp_path: Path) -> tuple[str, bytes]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text("print(1)")
    out = io.BytesIO()
    return write_tar(collect(source, ["**"]), out), out.getvalue()


def test_stored_once_and_found(layout: Layout, snapshot: tuple[str, bytes]) -> None:
    digest, data = snapshot
    snapshots = Snapshots(layout)
    assert not snapshots.has(digest)
    assert snapshots.store(digest, io.BytesIO(data)) == digest
    index = layout.index()
    assert snapshots.store(digest, io.BytesIO(data)) == digest
    assert snapshots.has(digest)
    assert layout.index() == index


def test_it_is_an_artifact_and_no_model(layout: Layout, versions: Versions, snapshot: tuple[str, bytes]) -> None:
    Snapshots(layout).store(snapshot[0], io.BytesIO(snapshot[1]))
    [manifest] = layout.tags().values()
    assert manifest.artifact_type == "application/vnd.shipway.source.v1"
    assert [layer.digest for layer in layout.read_manifest(manifest).layers] == [snapshot[0]]
    assert versions.names() == ()


def test_other_bytes_than_announced_are_refused(layout: Layout, snapshot: tuple[str, bytes]) -> None:
    digest, data = snapshot
    with pytest.raises(UserError, match="does not have the digest"):
        Snapshots(layout).store(digest, io.BytesIO(data[:-1]))
    assert not Snapshots(layout).has(digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "sha256:abc"])
def test_what_is_no_digest_is_said(layout: Layout, digest: str) -> None:
    with pytest.raises(UserError, match="not a digest"):
        Snapshots(layout).has(digest)
    with pytest.raises(UserError, match="not a digest"):
        Snapshots(layout).store(digest, io.BytesIO(b""))


def test_a_blob_that_vanished_is_not_there(layout: Layout, snapshot: tuple[str, bytes]) -> None:
    digest, data = snapshot
    snapshots = Snapshots(layout)
    snapshots.store(digest, io.BytesIO(data))
    next(path for path in layout.root.rglob(digest.removeprefix("sha256:"))).unlink()
    assert not snapshots.has(digest)
    snapshots.store(digest, io.BytesIO(data))
    assert snapshots.has(digest)
