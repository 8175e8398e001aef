"""skopeo reads what we wrote, and writes into a layout of ours, which then still is one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Index, Layout, Manifest
from shipway.oci.sweep import Garbage, Marks, garbage, sweep

pytestmark = [
    pytest.mark.realtool,
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]


def skopeo(*arguments: str | Path) -> str:
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]  # asks who signed nothing
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy(source: Layout, tag: str, target: Path | Layout, as_: str) -> None:
    place = target.root if isinstance(target, Layout) else target
    skopeo("copy", "--all", "--preserve-digests", f"oci:{source.root}:{tag}", f"oci:{place}:{as_}")


@pytest.fixture
def ours(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "ours")
    layout.put_blob(EMPTY_CONFIG_BYTES)
    return layout


def manifest(layout: Layout, content: bytes, subject: Descriptor | None = None) -> Descriptor:
    layer = layout.put_blob(content, "application/vnd.oci.image.layer.v1.tar")
    return layout.put_manifest(Manifest(EMPTY_CONFIG, (layer,), "application/x", subject=subject))


def index(layout: Layout, tag: str) -> Descriptor:
    # Debian's skopeo (1.9) drops the type of an index's entries, and then cannot keep its digest.
    entries = (replace(manifest(layout, content), artifact_type=None) for content in (b"one", b"two"))
    return layout.put_index(Index(tuple(entries)), tag)


def test_skopeo_reads_our_index_and_all_that_is_in_it(ours: Layout, tmp_path: Path) -> None:
    written = index(ours, "digits-1")
    copy(ours, "digits-1", tmp_path / "theirs", "copied")
    theirs = Layout(tmp_path / "theirs")
    found = theirs.resolve("copied")
    assert found.digest == written.digest
    assert [theirs.read_blob(theirs.read_manifest(one).layers[0]) for one in theirs.read_index(found).manifests] == [
        b"one",
        b"two",
    ]
    assert garbage(theirs, Marks(theirs.blobs)) == Garbage()


def test_what_skopeo_writes_into_our_layout_is_seen_and_ours_stays(ours: Layout, tmp_path: Path) -> None:
    kept = index(ours, "digits-1")
    ours.tag(ours.resolve("digits-1").annotated({"dev.shipway.pushed": "[]"}), "digits-1")
    signed = ours.attach(Manifest(EMPTY_CONFIG, (), "sig", subject=kept))
    theirs = Layout(tmp_path / "theirs")
    theirs.put_blob(EMPTY_CONFIG_BYTES)
    theirs.tag(manifest(theirs, b"three"), "three")
    copy(theirs, "three", ours, "from-skopeo")
    assert set(ours.tags()) == {"digits-1", "from-skopeo", f"sha256-{kept.digest.hex}"}, "without opening it again"
    assert ours.resolve("digits-1") == kept.annotated({"dev.shipway.pushed": "[]"})
    assert ours.referrers(kept.digest) == (signed,)
    sweep(ours, Marks(ours.blobs))
    layer = ours.read_manifest(ours.resolve("from-skopeo")).layers[0]
    assert ours.read_blob(layer) == b"three"
    ours.tag(kept, "another")
    assert "from-skopeo" in ours.tags()


def test_skopeo_finds_our_referrers_under_their_tag(ours: Layout) -> None:
    kept = index(ours, "digits-1")
    signed = ours.attach(Manifest(EMPTY_CONFIG, (), "sig", subject=kept))
    raw = skopeo("inspect", "--raw", f"oci:{ours.root}:sha256-{kept.digest.hex}")
    assert [one.digest for one in Index.from_bytes(raw.encode()).manifests] == [signed.digest]
