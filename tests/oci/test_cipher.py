from __future__ import annotations

import base64
import io
import os
import random
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.errors import Corrupt, EnvironmentFault, Refused, UserError
from shipway.oci import Descriptor, Layout, Manifest, cipher, encrypted
from shipway.oci.cipher import PLAIN, Cipher
from shipway.oci.digest import Digest
from shipway.oci.encrypted import CHUNK, Encrypted

KEY = Encrypted(bytes(range(32)))
SMALL = 64  # bytes of a chunk, where sizes are drawn
HEADER, OVERHEAD = 40, 28

sizes = st.integers(0, 4 * SMALL + 3)


@contextmanager
def small_chunks() -> Iterator[None]:
    encrypted.CHUNK = SMALL
    try:
        yield
    finally:
        encrypted.CHUNK = CHUNK


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@contextmanager
def file_of(data: bytes, through: Cipher = KEY) -> Iterator[Path]:
    with NamedTemporaryFile() as file:
        writer = through.writer(file.fileno())
        writer.write(data)
        writer.finish()
        yield Path(file.name)


def read(path: Path, through: Cipher = KEY) -> bytes:
    with path.open("rb", buffering=0) as file:
        return io.BufferedReader(through.reader(file.fileno(), path)).read()


# -- whole files


@pytest.mark.parametrize("through", [KEY, PLAIN])
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5])
def test_content_comes_back_and_its_size_is_that_of_the_file(size: int, through: Cipher) -> None:
    with file_of(content(size), through) as path:
        assert read(path, through) == content(size)
        stored = path.stat().st_size
        assert (through.stored(size), through.size(stored)) == (stored, size)


@small_chunks()
@given(sizes, st.lists(st.integers(1, 3 * SMALL), max_size=20))
def test_content_written_in_any_pieces_comes_back(size: int, pieces: list[int]) -> None:
    data = content(size)
    with NamedTemporaryFile() as file:
        writer, at = KEY.writer(file.fileno()), 0
        for piece in [*pieces, size]:
            writer.write(memoryview(data)[at : at + piece])
            at += piece
        writer.finish()
        assert read(Path(file.name)) == data


@small_chunks()
@given(sizes, st.lists(st.tuples(sizes, st.integers(0, 3 * SMALL)), max_size=10))
def test_any_place_can_be_read(size: int, places: list[tuple[int, int]]) -> None:
    with file_of(content(size)) as path, path.open("rb", buffering=0) as file:
        stream = io.BufferedReader(KEY.reader(file.fileno(), path), SMALL)
        for start, count in places:
            stream.seek(start)
            assert stream.read(count) == content(size)[start : start + count]
        assert stream.seek(0, os.SEEK_END) == size
        assert stream.read() == b""


@small_chunks()
@given(st.integers(0, 6 * SMALL))
def test_each_size_of_a_file_has_one_content_or_none(stored: int) -> None:
    size = KEY.size(stored)
    assert size is None or KEY.stored(size) == stored
    smallest = HEADER + OVERHEAD
    assert (size is None) == (
        stored < smallest or 0 < (stored - HEADER) % (SMALL + OVERHEAD) <= OVERHEAD != stored - HEADER
    )


def test_nothing_of_the_content_is_in_the_file() -> None:
    data = b"a secret that must not be seen" * 100_000
    with file_of(data) as path:
        assert b"secret" not in path.read_bytes()


def test_equal_contents_have_different_files() -> None:
    with file_of(b"x" * 100) as one, file_of(b"x" * 100) as other:
        assert one.read_bytes()[8:40] != other.read_bytes()[8:40]
        assert one.read_bytes()[52:] != other.read_bytes()[52:]


# -- tampering


@small_chunks()
@given(st.data(), sizes)
def test_any_changed_byte_is_found(data: st.DataObject, size: int) -> None:
    with file_of(content(size)) as path:
        stored = bytearray(path.read_bytes())
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(stored)
        with pytest.raises(Corrupt):
            read(path)


@small_chunks()
@given(st.data(), sizes)
def test_any_cut_is_found(data: st.DataObject, size: int) -> None:
    with file_of(content(size)) as path:
        stored = path.read_bytes()
        path.write_bytes(stored[: data.draw(st.integers(0, len(stored) - 1))])
        with pytest.raises(Corrupt):
            read(path)


@small_chunks()
@given(sizes, st.binary(min_size=1, max_size=2 * (SMALL + OVERHEAD)))
def test_anything_appended_is_found(size: int, more: bytes) -> None:
    with file_of(content(size)) as path:
        path.write_bytes(path.read_bytes() + more)
        with pytest.raises(Corrupt):
            read(path)


def _chunks(stored: bytes) -> list[bytes]:
    step = SMALL + OVERHEAD
    return [stored[at : at + step] for at in range(HEADER, len(stored), step)]


@small_chunks()
@pytest.mark.parametrize(
    "order", [(1, 0, 2), (0, 2, 1), (0, 1, 1), (0, 1), (0, 2), (2,), (0, 0, 1, 2), (0, 1, 2, 2), (1, 2)]
)
def test_chunks_in_another_order_are_found(order: tuple[int, ...]) -> None:
    """A cut at the border of a chunk, and a last chunk that is as long as the others, are among them."""
    for size in (3 * SMALL, 2 * SMALL + 5):
        with file_of(content(size)) as path:
            stored = path.read_bytes()
            chunks = _chunks(stored)
            path.write_bytes(stored[:HEADER] + b"".join(chunks[one] for one in order))
            with pytest.raises(Corrupt):
                read(path)


@small_chunks()
def test_a_chunk_of_another_file_is_found() -> None:
    with file_of(content(3 * SMALL)) as one, file_of(content(3 * SMALL)) as other:
        ours, theirs = one.read_bytes(), other.read_bytes()
        step = SMALL + OVERHEAD
        one.write_bytes(ours[: HEADER + step] + theirs[HEADER + step : HEADER + 2 * step] + ours[HEADER + 2 * step :])
        with pytest.raises(Corrupt, match="bytes from 64 on were changed, or encrypted with another key"):
            read(one)


def test_another_key_does_not_open_it() -> None:
    with file_of(b"x"), file_of(b"x") as path, pytest.raises(Corrupt, match="another key"):
        read(path, Encrypted(bytes(32)))


def test_a_plain_file_is_no_encrypted_one() -> None:
    with file_of(b"x" * 100, PLAIN) as path, pytest.raises(Corrupt, match="100 bytes are not an encrypted blob"):
        read(path)


# -- parts


@small_chunks()
@given(st.data(), sizes, st.sampled_from([KEY, PLAIN]))
def test_parts_in_any_order_make_the_content(data: st.DataObject, size: int, through: Cipher) -> None:
    """Also when some come twice, and when the work is taken up again after each of them."""
    edges = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=8))})
    order = data.draw(st.permutations(list(pairwise(edges))))
    with NamedTemporaryFile() as file:
        path = Path(file.name)
        os.ftruncate(file.fileno(), through.stored(size))
        parts, there = through.parts(file.fileno(), path, size), set[int]()
        for start, end in [*order, *order[:2]]:
            for first, last in parts.write(content(size)[start:end], start):
                there.update(range(first, last))
        assert there == set(range(size))
        through.parts(file.fileno(), path, size)  # taken up again: nothing is lost
        assert read(path, through) == content(size)


@small_chunks()
def test_what_was_written_can_be_read_before_the_rest_comes() -> None:
    size = 3 * SMALL
    with NamedTemporaryFile() as file:
        path = Path(file.name)
        os.ftruncate(file.fileno(), KEY.stored(size))
        parts = KEY.parts(file.fileno(), path, size)
        assert parts.write(content(size)[: SMALL + 7], 0) == ((0, SMALL),)
        stream = KEY.reader(file.fileno(), path)
        assert stream.read(SMALL) == content(size)[:SMALL]
        with pytest.raises(Corrupt):
            stream.read(1)


@small_chunks()
def test_a_half_chunk_is_forgotten_with_its_writer_and_can_come_again() -> None:
    size = 2 * SMALL
    with NamedTemporaryFile() as file:
        path = Path(file.name)
        os.ftruncate(file.fileno(), KEY.stored(size))
        assert KEY.parts(file.fileno(), path, size).write(b"l" * 100, 0) == ((0, SMALL),)
        again = KEY.parts(file.fileno(), path, size)
        assert again.write(content(size)[SMALL:], SMALL) == ((SMALL, size),)
        assert again.write(content(size)[:SMALL], 0) == ((0, SMALL),)  # other bytes than before: the first ones lied
        assert read(path) == content(size)


@small_chunks()
def test_a_chunk_written_twice_has_another_nonce() -> None:
    with NamedTemporaryFile() as file:
        path = Path(file.name)
        os.ftruncate(file.fileno(), KEY.stored(SMALL))
        nonces = set()
        for byte in (b"a", b"b", b"b"):
            KEY.parts(file.fileno(), path, SMALL).write(byte * SMALL, 0)
            nonces.add(path.read_bytes()[HEADER : HEADER + 12])
        assert len(nonces) == 3


def test_threads_write_side_by_side() -> None:
    size = 5 * CHUNK + 12_345
    data, step = content(size), 300_001  # two threads meet in each chunk
    with NamedTemporaryFile() as file:
        path, lock, there = Path(file.name), threading.Lock(), list[tuple[int, int]]()
        os.ftruncate(file.fileno(), KEY.stored(size))
        parts = KEY.parts(file.fileno(), path, size)

        def write(start: int) -> None:
            written = parts.write(data[start : start + step], start)
            with lock:
                there.extend(written)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(0, size, step)))
        assert sorted(there) == [(at, min(at + CHUNK, size)) for at in range(0, size, CHUNK)]
        assert read(path) == data


def test_a_file_that_was_begun_as_something_else_is_not_gone_on_with() -> None:
    with NamedTemporaryFile() as file:
        file.write(b"x" * KEY.stored(10))
        file.flush()
        with pytest.raises(Corrupt, match="not begun as an encrypted blob"):
            KEY.parts(file.fileno(), Path(file.name), 10)


# -- key files


def _key_file(folder: Path, text: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_a_key_file_is_base64_of_32_bytes(tmp_path: Path) -> None:
    found = cipher.of_file(_key_file(tmp_path, base64.b64encode(bytes(range(32))) + b"\n"))
    assert found.key_id == KEY.key_id
    assert cipher.of_file(None) is PLAIN


@pytest.mark.parametrize("text", [b"", b"x", base64.b64encode(bytes(31)), b"?" * 44, b"\xff" * 44, b"A" * 4000])
def test_what_is_no_key_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(UserError, match="holds no encryption key: it is 32 bytes in base64") as told:
        cipher.of_file(_key_file(tmp_path, text))
    assert "openssl rand" in told.value.next_step


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o777])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UserError, match="others may read the encryption key"):
        cipher.of_file(_key_file(tmp_path, base64.b64encode(bytes(32)), mode))


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot read the encryption key"):
        cipher.of_file(tmp_path / "none")


def test_the_key_is_in_no_text() -> None:
    key = bytes(range(32))
    for text in (repr(KEY), KEY.key_id):
        assert key.hex() not in text
        assert base64.b64encode(key).decode() not in text
    assert len(KEY.key_id) == 16


# -- a layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci", KEY)


def test_a_layout_keeps_no_plain_blob(layout: Layout) -> None:
    secret = b"weights that nobody may see"
    blob = layout.put_blob(secret * 10)
    manifest = layout.put_manifest(Manifest(config=blob, layers=(blob,), annotations={"note": "seen?"}), "a:1")
    assert layout.read_blob(blob) == secret * 10
    assert layout.read_manifest(manifest).annotations == {"note": "seen?"}
    assert blob.digest == Digest.of(secret * 10)
    assert layout.has_blob(blob)
    files = [path for path in layout.root.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() or b"seen?" in path.read_bytes() for path in files)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_a_draft_is_encrypted_too(layout: Layout) -> None:
    class Watched(io.BytesIO):
        seen = b""

        def read(self, size: int | None = -1, /) -> bytes:
            self.seen += b"".join(path.read_bytes() for path in (layout.root / "tmp").iterdir())
            return super().read(size)

    source = Watched(b"secret " * CHUNK)
    layout.put_blob(source)
    assert len(source.seen) > CHUNK
    assert b"secret" not in source.seen


def test_what_is_being_fetched_is_encrypted_too(layout: Layout) -> None:
    data = b"secret " * CHUNK
    descriptor = Descriptor("x", Digest.of(data), len(data))
    with layout.lease("pull") as lease:
        fetch = layout.fetch(descriptor, lease)
        assert fetch is not None
        with fetch:
            fetch.write(data[: 3 * CHUNK], 0)
        (partial,) = (path for path in layout.partials.iterdir() if not path.suffix)
        assert b"secret" not in partial.read_bytes()
        again = layout.fetch(descriptor, lease)
        assert again is not None
        with again:
            assert again.missing() == ((3 * CHUNK, len(data)),)
            again.write(data[3 * CHUNK :], 3 * CHUNK)
            again.finish()
    assert layout.read_blob(descriptor) == data


def test_a_partial_whose_bytes_were_lost_is_thrown_away(layout: Layout) -> None:
    """As after a power cut: the list of what came survived, the bytes did not."""
    data = content(3 * CHUNK)
    descriptor = Descriptor("x", Digest.of(data), len(data))
    with layout.lease("pull") as lease:
        fetch = layout.fetch(descriptor, lease)
        assert fetch is not None
        with fetch:
            fetch.write(data[: 2 * CHUNK], 0)
        (partial,) = (path for path in layout.partials.iterdir() if not path.suffix)
        with partial.open("r+b") as file:
            file.seek(HEADER + 100)
            file.write(bytes(CHUNK))
        again = layout.fetch(descriptor, lease)
        assert again is not None
        with again:
            again.write(data[2 * CHUNK :], 2 * CHUNK)
            with pytest.raises(Corrupt):
                again.finish()
            assert again.missing() == ((0, len(data)),)
            again.write(data, 0)
            again.finish()
    assert layout.read_blob(descriptor) == data


def test_a_blob_under_anothers_name_is_found(layout: Layout) -> None:
    one, other = layout.put_blob(b"one"), layout.put_blob(b"two")
    layout.blob_path(one.digest).replace(layout.blob_path(other.digest))
    with pytest.raises(Corrupt, match=str(other.digest)):
        layout.read_blob(other)


def test_a_blob_that_was_changed_is_corrupt(layout: Layout) -> None:
    blob = layout.put_blob(b"one")
    path = layout.blob_path(blob.digest)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(Corrupt, match="damaged"):
        layout.read_blob(blob)
    path.write_bytes(path.read_bytes()[:-1])
    assert not layout.has_blob(blob)


@pytest.mark.parametrize(
    ("made_with", "opened_with", "said"),
    [
        (KEY, PLAIN, f"is encrypted with the key {KEY.key_id}, and no key was given"),
        (KEY, Encrypted(bytes(32)), f"is encrypted with the key {KEY.key_id}, and the key "),
        (PLAIN, KEY, f"is not encrypted, and the key {KEY.key_id} was given"),
    ],
)
def test_a_layout_opens_with_its_own_key_only(
    tmp_path: Path, made_with: Cipher, opened_with: Cipher, said: str
) -> None:
    Layout(tmp_path / "oci", made_with)
    with pytest.raises(Refused, match=said) as told:
        Layout(tmp_path / "oci", opened_with)
    assert "SHIPWAY_ENCRYPTION_KEY_FILE" in told.value.next_step
    Layout(tmp_path / "oci", made_with)


@pytest.mark.parametrize("through", [KEY, PLAIN])
def test_an_empty_blob_can_be_fetched(tmp_path: Path, through: Cipher) -> None:
    layout = Layout(tmp_path / "oci", through)
    descriptor = Descriptor("x", Digest.of(b""), 0)
    with layout.lease("pull") as lease:
        fetch = layout.fetch(descriptor, lease)
        assert fetch is not None
        with fetch:
            assert fetch.missing() == ()
            fetch.finish()
    assert layout.has_blob(descriptor)
    assert layout.read_blob(descriptor) == b""
