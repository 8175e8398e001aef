"""Entries become one tar, whatever order, machine or number of threads; and it reads as it was written."""

from __future__ import annotations

import gzip
import io
import os
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import EnvironmentFault, Refused, UserError
from shipway.image.layer import Compression, Entry, Layer
from shipway.image.layers import compress
from shipway.image.layers.compress import Compressor
from shipway.image.layers.write import arranged, pieces, with_folders, write
from shipway.oci import Descriptor, Digest, Layout, tar
from shipway.oci.layout import BlobSource
from shipway.oci.tar import Limits, Member
from shipway.oci.unpack import decompressed
from tests.image.made_layers import contents, tar_of

BOTH: tuple[Compression, ...] = ("zstd", "gzip")

SOME = (
    Entry("opt", "folder"),
    Entry("opt/run", content=b"#!/bin/sh\n", executable=True),
    Entry("opt/empty"),
    Entry("opt/link", "link", target="run"),
    Entry("opt/" + "l" * 120 + "/naïve", content=b"x" * 700),
    Entry("app", "folder", owner=(10001, 10001), mode=0o1777),
)
TAR = Digest("sha256:ae9bfce49f0866613db3196ad8625dbd5f15529b62faef0773cf77b2ce6cbb28")
# By what the bytes depend on: another version of the libraries may make others.
GOLDEN = {
    "zstd 1.5.7 level 6 block 4194304": "sha256:3f96b20784b79dd53bab715e19f07e67751197b874ac1494b01d7048d12ea3a3",
    "zlib 1.2.13 level 6 block 4194304": "sha256:572c80e55202bd4770552ebc67141d05ae5a0a10c5b0c0262933944213df2607",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def written(layout: Layout, *entries: Entry, compression: Compression = "zstd") -> Layer:
    with layout.lease("test") as lease:
        return write(entries, layout, lease, compression, "test")


def members(data: bytes) -> Iterator[tuple[Member, bytes]]:
    for member, content in tar.members(io.BytesIO(data), Limits()):
        yield member, b"".join(iter(content.read, b""))


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compress, "BLOCK", size)
        yield


@pytest.mark.parametrize("compression", BOTH)
def test_the_bytes_are_known(layout: Layout, compression: Compression) -> None:
    layer = written(layout, *SOME, compression=compression)
    assert layer.diff_id == TAR
    assert GOLDEN.get(compress.method(compression), layer.descriptor.digest) == layer.descriptor.digest
    assert layer.descriptor.media_type.endswith(f"+{compression}")
    assert layer.descriptor.size == layout.blob_path(layer.descriptor.digest).stat().st_size


def test_a_layer_reads_as_it_was_written(layout: Layout) -> None:
    layer = written(layout, *SOME)
    assert contents(layout, layer) == {
        "app": None,
        "opt": None,
        "opt/empty": b"",
        "opt/link": "run",
        "opt/" + "l" * 120 + "/naïve": b"x" * 700,
        "opt/run": b"#!/bin/sh\n",
    }
    assert Digest.of(tar_of(layout, layer)) == layer.diff_id


def test_order_and_repetition_change_nothing(layout: Layout) -> None:
    assert written(layout, *reversed(SOME), *SOME) == written(layout, *SOME)


NAMES = st.text(string.ascii_letters + "ü ,-.", min_size=1, max_size=130).filter(
    lambda name: name not in (".", "..") and not name.startswith(".wh.")
)
CONTENTS = st.binary(max_size=3000)
ENTRIES = st.dictionaries(NAMES, st.one_of(CONTENTS, NAMES), max_size=12)


@given(ENTRIES, st.lists(st.booleans(), min_size=12, max_size=12))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_entries_come_back(found: dict[str, bytes | str], executable: list[bool]) -> None:
    entries = [
        Entry(f"top/{name}", "link", target=one)
        if isinstance(one, str)
        else Entry(f"top/{name}", content=one, executable=can_run)
        for (name, one), can_run in zip(found.items(), executable, strict=False)
    ]
    read = list(members(b"".join(pieces(arranged(with_folders(entries))))))
    expected = [
        (Member(one.name, "symbolic link", 0, True, one.target), b"")
        if one.kind == "link"
        else (Member(one.name, "file", len(bytes(one.content)), one.executable), one.content)
        for one in sorted(entries, key=lambda one: one.name)
    ]
    assert read == [(Member("top/", "folder", 0, True), b""), *expected] if entries else read == []


@given(st.lists(st.binary(max_size=500)), st.integers(1, 700), st.sampled_from(BOTH), st.integers(2, 5))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_threads_and_cuts_change_nothing(data: list[bytes], block: int, how: Compression, workers: int) -> None:
    with blocks_of(block), Compressor(1) as one, Compressor(workers) as many:
        packed = b"".join(one.run(data, how))
        assert b"".join(many.run([b"".join(data)], how)) == packed
    plain = b"".join(data)
    reader = decompressed(io.BytesIO(packed), f".tar+{how}")
    assert b"".join(iter(lambda: reader.read(100), b"")) == plain
    if how == "gzip":
        assert gzip.decompress(packed) == plain


def test_layers_that_share_a_compressor_do_not_wait_for_each_other() -> None:
    with blocks_of(10), Compressor(1) as shared:
        data = [bytes([value]) * 100 for value in range(3)]
        several = [shared.run([one], "zstd") for one in data]
        parts: list[list[bytes]] = [[], [], []]
        for _ in range(20):  # in turns: each holds room while it waits for the next call
            for part, one in zip(parts, several, strict=True):
                part += [piece for piece in (next(one, b""),) if piece]
        with Compressor(1) as alone:
            assert [b"".join(part) for part in parts] == [b"".join(alone.run([one], "zstd")) for one in data]


class FullDisk(Layout):
    """Takes the beginning of each blob."""

    def put_blob(self, source: BlobSource, *_: object, **__: object) -> Descriptor:
        assert not isinstance(source, bytes | Path)
        source.read(1)
        raise EnvironmentFault("the disk is full")


def test_a_layer_that_fails_gives_its_room_to_the_others(layout: Layout, tmp_path: Path) -> None:
    full, entry = FullDisk(tmp_path / "full"), Entry("file", content=bytes(1000))
    failed = []
    with blocks_of(10), Compressor(1) as shared, layout.lease("test") as lease:
        for _ in range(5):
            try:
                write([entry], full, lease, "zstd", "test", compressor=shared)
            except EnvironmentFault as error:
                failed.append(error)  # with its traceback, and what that holds
        assert write([entry], layout, lease, "zstd", "test", compressor=shared).descriptor.size > 0
    assert len(failed) == 5


@pytest.mark.parametrize(
    "entries, words",
    [
        ([Entry("a", content=b"1"), Entry("a", content=b"2")], "'a' twice"),
        ([Entry("a"), Entry("a/b")], "'a' as a file"),
        ([Entry("a"), Entry("a-b"), Entry("a/b/c")], "'a' as a file"),
        ([Entry("a", "link", target="x"), Entry("a/b")], "'a' as a link"),
        ([Entry("/etc/passwd")], "not in the form"),
        ([Entry("a/../b")], "not in the form"),
        ([Entry("a//b")], "not in the form"),
        ([Entry("a/.wh.b")], "says there that a file is gone"),
        ([Entry("a\udcff")], "not UTF-8"),
    ],
)
def test_what_no_layer_can_hold_is_refused(entries: list[Entry], words: str) -> None:
    with pytest.raises(Refused, match=words):
        arranged(entries)


def test_a_file_that_changes_or_is_gone_is_said(layout: Layout, tmp_path: Path) -> None:
    grows = tmp_path / "grows"
    grows.write_bytes(b"x" * (3 << 20))
    stream = pieces([Entry("grows", content=grows)])
    next(stream)
    next(stream)
    os.truncate(grows, 1 << 20)
    with pytest.raises(UserError, match="changed while it was read"):
        list(stream)
    with pytest.raises(UserError, match="cannot be read"):
        written(layout, Entry("gone", content=tmp_path / "gone"))
    assert not list((layout.root / "blobs/sha256").iterdir())
    assert not list((layout.root / "tmp").iterdir())


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)))
def test_every_folder_is_there_once_and_before_its_content(names: set[str]) -> None:
    leaves = [one for one in names if not any(other.startswith(f"{one}/") for other in names)]
    found = [one.name for one in arranged(with_folders(Entry(name) for name in leaves))]
    assert len(found) == len(set(found))
    for name in found:
        assert "/" not in name or found.index(name.rpartition("/")[0]) < found.index(name)
