"""The layout on disk: what it keeps, what it refuses to believe, what it survives."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shipway.errors import Corrupt, EnvironmentFault, NotFound, UserError
from shipway.oci import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Descriptor, Digest, Layout, Manifest


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def _tagged(layout: Layout, tag: str, content: bytes = b"content") -> Descriptor:
    layout.put_blob(EMPTY_CONFIG_BYTES)
    return layout.put_manifest(Manifest(EMPTY_CONFIG, (layout.put_blob(content),), "application/x"), tag=tag)


def test_a_blob_comes_from_bytes_a_path_or_a_stream(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    blobs = {layout.put_blob(source) for source in (b"abc", tmp_path / "file", io.BytesIO(b"abc"))}
    assert len(blobs) == 1
    assert layout.read_blob(blobs.pop()) == b"abc"


def test_the_layout_is_what_the_specification_says(layout: Layout) -> None:
    manifest = _tagged(layout, "digits:1")
    assert json.loads((layout.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads((layout.root / "index.json").read_bytes())["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "digits:1"}
    assert (layout.root / "blobs" / "sha256" / manifest.digest.hex).is_file()


def test_only_the_owner_may_read(layout: Layout) -> None:
    _tagged(layout, "digits:1")
    modes = {path.stat().st_mode & 0o777 for path in layout.root.rglob("*") if path.is_file()}
    folders = {path.stat().st_mode & 0o777 for path in [layout.root, *layout.root.rglob("*")] if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_tags(layout: Layout) -> None:
    first, second = _tagged(layout, "digits:1"), _tagged(layout, "digits:2", b"other")
    assert layout.tags() == {"digits:1": first, "digits:2": second}
    layout.tag(first, "best")
    assert layout.resolve("best") == first
    layout.untag("best")
    layout.untag("best")
    with pytest.raises(NotFound, match="best"):
        layout.resolve("best")
    assert Layout(layout.root).read_manifest(second).layers[0].size == 5


def test_the_index_is_read_again_when_anybody_changed_it(layout: Layout) -> None:
    _tagged(layout, "digits:1")
    before = layout.index()
    assert layout.index() is before
    _tagged(Layout(layout.root), "digits:2")
    assert sorted(layout.index().tags) == ["digits:1", "digits:2"]
    index = layout.root / "index.json"
    index.write_bytes(index.read_bytes().replace(b"digits:2", b"digits\xff2"))
    with pytest.raises(Corrupt, match=r"index\.json"):
        layout.index()


def test_an_announced_digest_is_checked_and_nothing_is_kept(layout: Layout) -> None:
    with pytest.raises(UserError, match=f"expected {Digest.of(b'abc')}, got {Digest.of(b'abd')}"):
        layout.put_blob(b"abd", expected=Digest.of(b"abc"))
    assert not list((layout.root / "blobs" / "sha256").iterdir())
    assert not list((layout.root / "tmp").iterdir())


def test_a_path_that_cannot_be_read_is_named(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone cannot be read"):
        layout.put_blob(tmp_path / "gone")


def test_a_flipped_byte_is_found(layout: Layout) -> None:
    blob = layout.put_blob(b"a" * 1000)
    layout.blob_path(blob.digest).write_bytes(b"a" * 500 + b"b" + b"a" * 499)
    with pytest.raises(Corrupt, match=f"{blob.digest}.*expected 1000 bytes.*found 1000 bytes with sha256:"):
        layout.read_blob(blob)


def test_a_truncated_or_missing_blob_is_found(layout: Layout) -> None:
    blob = layout.put_blob(b"a" * 1000)
    layout.blob_path(blob.digest).write_bytes(b"a" * 10)
    assert not layout.has_blob(blob)
    with pytest.raises(Corrupt, match=r"expected 1000 bytes.*found 10 bytes"):
        layout.read_blob(blob)
    layout.blob_path(blob.digest).unlink()
    assert not layout.has_blob(blob)
    with pytest.raises(Corrupt, match="no such file"):
        layout.read_blob(blob)


def test_a_reader_that_stops_early_or_stumbles_still_learns_of_damage(layout: Layout) -> None:
    blob = layout.put_blob(b"a" * 1000)
    layout.blob_path(blob.digest).write_bytes(b"a" * 999 + b"b")
    with pytest.raises(Corrupt), layout.open_blob(blob) as stream:
        assert stream.read(1) == b"a"
    with pytest.raises(Corrupt), layout.open_blob(blob):
        raise ValueError("cannot be parsed")


def test_an_error_of_the_reader_stays_its_own(layout: Layout) -> None:
    blob = layout.put_blob(b"abc")
    with pytest.raises(ValueError, match="mine"), layout.open_blob(blob):
        raise ValueError("mine")


def test_putting_a_blob_again_mends_it(layout: Layout) -> None:
    blob = layout.put_blob(b"abc")
    layout.blob_path(blob.digest).write_bytes(b"abd")
    layout.put_blob(b"abc")
    assert layout.read_blob(blob) == b"abc"


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
@pytest.mark.parametrize("damage", [None, b"", b'{"manifests": [', b"[]", b'{"manifests": [{"size": 1}]}', b"\xff\xfe"])
def test_a_damaged_layout_is_named_and_never_made_anew(layout: Layout, name: str, damage: bytes | None) -> None:
    _tagged(layout, "digits:1")
    path = layout.root / name
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(Corrupt, match=name):
        Layout(layout.root).tags()
    with pytest.raises(Corrupt, match=name):
        Layout(layout.root).tag(EMPTY_CONFIG, "more")
    assert (path.read_bytes() if path.exists() else None) == damage


def test_a_manifest_that_is_none_is_named(layout: Layout) -> None:
    blob = layout.put_blob(b"{}")
    with pytest.raises(Corrupt, match="is not a manifest"):
        layout.read_manifest(blob)


def test_killed_while_it_was_made_it_is_made_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "oci-layout").unlink()
    assert Layout(tmp_path).tags() == {}
    shutil.rmtree(tmp_path / "blobs")
    assert layout.tags() == {}


def test_the_temporary_files_of_the_dead_are_swept_and_those_of_the_living_are_not(layout: Layout) -> None:
    dead, living = layout.root / "tmp" / "dead", layout.root / "tmp" / "living"
    dead.write_bytes(b"half")
    with living.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Layout(layout.root)
        assert not dead.exists()
        assert living.exists()


def test_a_block_that_fails_changes_nothing(layout: Layout) -> None:
    first = _tagged(layout, "digits:1")
    with contextlib.suppress(ZeroDivisionError), layout.edit() as edit:
        edit.index = edit.index.with_tag("digits:2", first)
        raise ZeroDivisionError
    assert list(layout.tags()) == ["digits:1"]


def test_threads_that_tag_at_once_lose_nothing(layout: Layout) -> None:
    manifest = _tagged(layout, "digits:1")
    wanted = [f"digits:{number}" for number in range(2, 22)]
    threads = [threading.Thread(target=layout.tag, args=(manifest, tag)) for tag in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(layout.tags()) == {"digits:1", *wanted}


_FULL = """
import resource, sys
from pathlib import Path
from shipway.errors import EnvironmentFault
from shipway.oci import Layout
layout = Layout(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))  # write(2) fails as on a full disk
try:
    layout.put_blob(b"a" * 1_000_000)
except EnvironmentFault as error:
    print(error)
"""


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_behind(layout: Layout) -> None:
    done = subprocess.run([sys.executable, "-c", _FULL, layout.root], capture_output=True, text=True, check=True)
    assert f"cannot write a blob into {layout.root}" in done.stdout
    assert not list((layout.root / "tmp").iterdir())
    assert not list((layout.root / "blobs" / "sha256").iterdir())


def test_a_place_that_is_no_folder_is_a_fault_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match="cannot open the OCI layout"):
        Layout(tmp_path / "file" / "oci")
