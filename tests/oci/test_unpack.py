"""Layers that anybody may have written: their files below one folder, or an error of ours and nothing outside."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import Corrupt, Refused
from shipway.oci import tar
from shipway.oci.tar import Limits
from shipway.oci.unpack import extract, files

# The same examples on every machine, and no deadline: two cores are shared by many.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
SMALL = Limits(members=50, name=300, header=4096, expanded=1 << 16, ratio=10, free=1 << 12, window=1 << 20)

_COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".tar": lambda data: data,
    ".tar+gzip": gzip.compress,
    ".tar+zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def member(name: str, type: bytes = tarfile.REGTYPE, link: str = "", size: int | None = None) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = type, link
    made.size = (1 if type == tarfile.REGTYPE else 0) if size is None else size
    return made


def crafted(*members: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO(b"x" * one.size))
    return out.getvalue()


def extended(name: str, **records: str) -> tarfile.TarInfo:
    made = member(name)
    made.pax_headers = records
    return made


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "into"


@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/evil")],
        [member("../evil")],
        [member("a/../../evil")],
        [member("..", tarfile.DIRTYPE)],
        [extended("a", path="../evil")],
        [extended("a", path="a\0/../evil")],
        [member("link", tarfile.SYMTYPE, "/etc")],
        [member("link", tarfile.SYMTYPE, "a"), member("link/evil")],
        [member("a"), member("hard", tarfile.LNKTYPE, "a")],
        [member("dev", tarfile.CHRTYPE)],
        [member("dev", tarfile.BLKTYPE)],
        [member("fifo", tarfile.FIFOTYPE)],
        [member("sparse", tarfile.GNUTYPE_SPARSE)],
        [extended("a", **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})],
        [extended("a", **{"GNU.sparse.map": "0,9999999999", "GNU.sparse.size": "9999999999"})],
        [member("a", b"7")],
        [member("a", b"Z")],
        [member("a"), member("a")],
        [member("a"), member("a/b")],
        [member("a/b"), member("a")],
        [member("a"), member("a/", tarfile.DIRTYPE)],
        [member(".")],
        [member("n" * 256)],
    ],
    ids=lambda members: " ".join(f"{one.name[:20]}:{one.type.decode()}" for one in members),
)
def test_what_no_folder_should_hold_is_refused_with_its_name(into: Path, members: list[tarfile.TarInfo]) -> None:
    with pytest.raises(Refused, match="the archive holds") as told:
        extract(io.BytesIO(crafted(*members)), ".tar", into)
    assert any(one.pax_headers or one.name.rstrip("/")[:20] in told.value.message for one in members)
    assert [path for path in into.parent.rglob("*") if "evil" in path.name] == []


@pytest.mark.parametrize("name", ["é" * 60, "d/" * 120 + "a", "a\nb", "\u202egnp.exe", "．．／a"])  # noqa: RUF001
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_strange_names_are_names(into: Path, name: str, format: int) -> None:
    extract(io.BytesIO(crafted(member(name), format=format)), ".tar", into)
    assert (into / name).read_bytes() == b"x"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("media_type", _COMPRESSED)
def test_every_form_and_compression(into: Path, media_type: str, format: int) -> None:
    data = crafted(member("./", tarfile.DIRTYPE), member("./empty/", tarfile.DIRTYPE), member("./a/b"), format=format)
    extract(io.BytesIO(_COMPRESSED[media_type](data)), f"application/x{media_type}", into)
    assert sorted(path.relative_to(into).as_posix() for path in into.rglob("*")) == ["a", "a/b", "empty"]
    assert {oct(path.stat().st_mode & 0o777) for path in (into, into / "a", into / "empty")} == {"0o700"}
    assert (into / "a" / "b").stat().st_mode & 0o777 == 0o600


def test_what_we_write_tarfile_reads_the_same(into: Path) -> None:
    name = "deep/" * 30 + "été.bin"
    data = tar.header("d", 0, folder=True) + tar.header(name, 700, executable=True) + b"y" * 700
    data += tar.padding(700) + tar.END
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = [(one.name, one.isdir(), one.mode, one.size, one.mtime, one.uid, one.gid) for one in archive]
    assert found == [("d", True, 0o755, 0, 0, 0, 0), (name, False, 0o755, 700, 0, 0, 0)]
    extract(io.BytesIO(data), ".tar", into)
    assert (into / name).stat().st_mode & 0o777 == 0o700


def _header(size: int, flag: bytes, name: str = "h") -> bytes:
    made = member(name, flag)
    made.size = size
    return made.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("flag", [b"x", b"g", b"X", b"L", b"K"])
@pytest.mark.parametrize("size", [5000, 1 << 40, (1 << 62)])
def test_an_extension_header_of_an_absurd_size_is_not_even_read(into: Path, flag: bytes, size: int) -> None:
    stream = io.BytesIO(_header(size, flag) + bytes(8000))
    with pytest.raises(Refused, match="extension header of"):
        extract(stream, ".tar", into, SMALL)
    assert stream.tell() <= tar.BLOCK


def test_a_chain_of_extension_headers_ends_with_the_limit_of_members(into: Path) -> None:
    chain = (tar.header("n" * 120, 0)[: 2 * tar.BLOCK]) * 5000
    with pytest.raises(Refused, match="more than 50 members"):
        extract(io.BytesIO(chain), ".tar", into, SMALL)


def test_one_name_for_all_members_is_refused(into: Path) -> None:
    body = b"16 path=../evil\n"
    data = _header(len(body), b"g") + body.ljust(tar.BLOCK, b"\0") + crafted(member("a"))
    with pytest.raises(Refused, match="for all members at once"):
        extract(io.BytesIO(data), ".tar", into)
    body = b"52 comment=0123456789012345678901234567890123456789\n"
    data = _header(len(body), b"g") + body.ljust(tar.BLOCK, b"\0") + crafted(member("a"))
    extract(io.BytesIO(data), ".tar", into)  # what `git archive` writes
    assert (into / "a").exists()


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([member(f"f{number}") for number in range(60)], "more than 50 members"),
        ([member("a", size=70_000)], "expands to more than 65536 bytes with 'a'"),
        ([member("a", size=40_000), member("b", size=40_000)], "expands to more than 65536 bytes with 'b'"),
        ([member("n/" * 200)], "name of more than 300 bytes"),
        ([member(f"{one}/" * 60 + "a") for one in range(2)], "too many folders"),
    ],
    ids=["members", "one large", "together large", "long name", "deep"],
)
def test_limits(into: Path, members: list[tarfile.TarInfo], why: str) -> None:
    with pytest.raises(Refused, match=why):
        extract(io.BytesIO(crafted(*members)), ".tar", into, SMALL)


def test_a_size_that_is_claimed_and_not_there_is_corrupt(into: Path) -> None:
    data = tar.header("a", 1 << 40)
    with pytest.raises(Corrupt, match="not a whole tar"):
        extract(io.BytesIO(data + b"x" * 1000), ".tar", into)


@pytest.mark.parametrize("media_type", [".tar+gzip", ".tar+zstd"])
def test_a_bomb_is_stopped_long_before_its_end(into: Path, media_type: str) -> None:
    bomb = tar.header("zeros", 1 << 26) + bytes(1 << 26) + tar.END
    limits = Limits(ratio=20, free=1 << 20)
    with pytest.raises(Refused, match="more than 20 times its size"):
        extract(io.BytesIO(_COMPRESSED[media_type](bomb)), media_type, into, limits)
    assert sum(path.stat().st_size for path in into.rglob("*")) < 1 << 24


def test_a_window_that_is_too_large_is_corrupt_and_takes_no_memory(into: Path) -> None:
    large = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=large).compressobj()
    data = compressor.compress(crafted(member("a"))) + compressor.flush()
    extract(io.BytesIO(data), ".tar+zstd", into)
    with pytest.raises(Corrupt, match="cannot be decompressed"):
        extract(io.BytesIO(data), ".tar+zstd", into / "second", SMALL)


@pytest.mark.parametrize("cut", [0, 1, 511, 513, 700, 1023])
@pytest.mark.parametrize("media_type", _COMPRESSED)
def test_a_cut_layer_is_corrupt(into: Path, media_type: str, cut: int) -> None:
    data = crafted(member("a", size=900))
    with pytest.raises(Corrupt, match="not a whole tar"):
        extract(io.BytesIO(_COMPRESSED[media_type](data[:cut])), media_type, into)
    with pytest.raises(Corrupt):
        extract(io.BytesIO(_COMPRESSED[media_type](data)[: 20 + cut // 30]), media_type, into / "second")


def test_what_is_not_read_of_a_file_is_passed_over() -> None:
    data = crafted(member("a", size=3000), member("d/", tarfile.DIRTYPE), member("b", size=2))
    read = {one.name: content.read(2) for one, content in files(io.BytesIO(data), ".tar")}
    assert read == {"a": b"xx", "b": b"xx"}


# -- fuzz

_names = st.one_of(
    st.sampled_from(["a", "a/b", "../evil", "/evil", "a/../../evil", ".", "..", "", "./a", "a//b", "evil\0", "a/"]),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.integers(1, 400).map(lambda count: "n/" * count + "f"),
)
_types = st.sampled_from([bytes((one,)) for one in b"0\x001234567SLKxgXZ"])
_records = st.dictionaries(
    st.sampled_from(["path", "linkpath", "size", "mtime", "uid", "GNU.sparse.map", "GNU.sparse.name", "hdrcharset"]),
    st.one_of(st.sampled_from(["../evil", "/evil", "-1", "99999999999999999999", "1", "0,1"]), st.text(max_size=10)),
    max_size=3,
)


@st.composite
def _archives(draw: st.DrawFn) -> bytes:
    out = b""
    for _ in range(draw(st.integers(1, 5))):
        made = tarfile.TarInfo(draw(_names).encode("utf-8", "replace").decode())
        made.type = draw(_types)
        made.linkname = draw(st.sampled_from(["", "..", "/", "a", "../evil"]))
        made.mode = draw(st.sampled_from([0, 0o644, 0o4755, 0o7777]))
        size = draw(st.sampled_from([0, 1, 511, 512, 513, 5000]))
        made.size = draw(st.sampled_from([size, size, 0, 1 << 33, 1 << 62]))
        made.pax_headers = draw(_records)
        with contextlib.suppress(ValueError):  # what tarfile itself cannot write
            out += made.tobuf(draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])), errors="surrogateescape")
            out += draw(st.binary(min_size=size, max_size=size)) if size < 600 else bytes(size)
            out += tar.padding(size)
    data = bytearray(out + draw(st.sampled_from([tar.END, b""])))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def _hashed(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() if path.is_file() else b"" for path in root.iterdir()}


def _extracted_safely(data: bytes, media_type: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        outside, into = Path(scratch), Path(scratch, "deep", "into")
        (outside / "kept").write_bytes(b"kept")
        (outside / "deep").mkdir()
        with contextlib.suppress(Corrupt, Refused):
            extract(io.BytesIO(data), media_type, into, SMALL)
        assert _hashed(outside) == {"kept": b"kept", "deep": b""}
        assert [path.name for path in (outside / "deep").iterdir()] == ["into"]
        assert all(path.is_dir() or path.is_file() for path in into.rglob("*"))
        assert not any(path.is_symlink() for path in into.rglob("*"))
        assert sum(path.stat().st_size for path in into.rglob("*") if path.is_file()) <= SMALL.expanded


@pytest.mark.slow
@PROPERTY
@given(_archives(), st.sampled_from([*_COMPRESSED]))
def test_nothing_is_written_outside_and_only_our_errors_are_raised(data: bytes, media_type: str) -> None:
    _extracted_safely(_COMPRESSED[media_type](data), media_type)


@pytest.mark.slow
@PROPERTY
@given(st.binary(max_size=3000), st.sampled_from([*_COMPRESSED]), st.booleans())
def test_junk_is_refused_or_corrupt(junk: bytes, media_type: str, inside: bool) -> None:
    _extracted_safely(_COMPRESSED[media_type](junk) if inside else junk, media_type)


@pytest.mark.slow
@PROPERTY
@given(st.integers(0), st.integers(0, 255), st.sampled_from([*_COMPRESSED]))
def test_one_wrong_byte_never_raises_anything_else(where: int, byte: int, media_type: str) -> None:
    data = bytearray(_COMPRESSED[media_type](crafted(member("d/e/f", size=900), member("n" * 150))))
    data[where % len(data)] = byte
    _extracted_safely(bytes(data), media_type)
