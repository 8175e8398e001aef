"""Files of blobs that are encrypted at rest.

A file is a header (magic, salt) and chunks of 1 MiB, each ``nonce, ciphertext, tag`` of AES-256-GCM under a key of this
file alone: HKDF-SHA256 of the layout's key and the salt. A chunk's number, and whether it is the last, are
authenticated with it: a chunk that was changed, swapped, cut off or appended is found by whoever reads it.

Source: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance", CRYPTO 2015), in the layout of age-encryption.org/v1, "Payload". Unlike there, nonces
are random: a download that is resumed may write a chunk twice, with other bytes when the registry lied, and a nonce
must never serve two contents. No file comes near the 2^32 chunks that NIST SP 800-38D, 8.3, allows for them.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shipway.errors import Corrupt, UserError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Data = bytes | bytearray | memoryview
Range = tuple[int, int]  # of a blob: from the first byte to the one behind the last

CHUNK = 1 << 20  # bytes of content

_MAGIC = b"shipway\x01"
_SALT = 32
_HEADER = len(_MAGIC) + _SALT
_NONCE = 12
_OVERHEAD = _NONCE + 16  # of each chunk: nonce and tag
KEY = 32  # bytes


class Encrypted:
    """Files hold the content under a key of 32 bytes."""

    __slots__ = ("_key", "key_id")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY:
            raise UserError(f"a key of {len(key)} bytes was given: allowed are {KEY}")
        self._key = key
        self.key_id = hashlib.sha256(b"shipway key id\0" + key).hexdigest()[:16]

    def size(self, stored: int) -> int | None:
        body = stored - _HEADER
        chunks = -(-body // (CHUNK + _OVERHEAD))
        size = body - chunks * _OVERHEAD
        # An empty last chunk is that of an empty blob only, so each size has one form.
        return size if chunks >= 1 and (size > (chunks - 1) * CHUNK or size == 0) else None

    def stored(self, size: int) -> int:
        return _HEADER + size + max(1, -(-size // CHUNK)) * _OVERHEAD

    def reader(self, file: int, path: Path) -> io.RawIOBase:
        stored = os.fstat(file).st_size
        header, size = os.pread(file, _HEADER, 0), self.size(stored)
        if size is None or not header.startswith(_MAGIC):
            raise _damaged(path, f"its {stored} bytes are not an encrypted blob")
        return _Reader(self._chunks(file, header), path, size)

    def writer(self, file: int) -> _Writer:
        return _Writer(self._begin(file))

    def parts(self, file: int, path: Path, size: int) -> _Parts:
        header = os.pread(file, _HEADER, 0)
        if not any(header):
            return _Parts(self._begin(file), size)
        if not header.startswith(_MAGIC):
            raise _damaged(path, "it was not begun as an encrypted blob")
        return _Parts(self._chunks(file, header), size)

    def _begin(self, file: int) -> _Chunks:
        header = _MAGIC + os.urandom(_SALT)
        write_all(file, header, 0)
        return self._chunks(file, header)

    def _chunks(self, file: int, header: bytes) -> _Chunks:
        derivation = HKDF(algorithm=SHA256(), length=KEY, salt=header[len(_MAGIC) :], info=b"shipway blob v1")
        return _Chunks(file, AESGCM(derivation.derive(self._key)))


class _Chunks:
    """The chunks of one encrypted file."""

    def __init__(self, file: int, cipher: AESGCM) -> None:
        self._file = file
        self._cipher = cipher

    def seal(self, number: int, content: Data, *, last: bool, room: memoryview | None = None) -> None:
        """``room``: where it is done, for who seals many: to be given new megabytes takes longer than to encrypt."""
        size = len(content) + _OVERHEAD
        sealed = (room or memoryview(bytearray(size)))[:size]
        sealed[:_NONCE] = os.urandom(_NONCE)
        self._cipher.encrypt_into(bytes(sealed[:_NONCE]), content, _place(number, last=last), sealed[_NONCE:])
        write_all(self._file, sealed, _offset(number))

    def open(self, number: int, content: memoryview, *, last: bool, room: memoryview) -> None:
        """Decrypt a chunk into ``content``, which has its length. Raises InvalidTag when it is not what was sealed,
        ValueError when the file has become shorter."""
        sealed = room[: len(content) + _OVERHEAD]
        count = os.preadv(self._file, [sealed], _offset(number))
        self._cipher.decrypt_into(bytes(sealed[:_NONCE]), sealed[_NONCE:count], _place(number, last=last), content)


class _Writer:
    def __init__(self, chunks: _Chunks) -> None:
        self._chunks = chunks
        self._number = 0
        self._waiting = memoryview(bytearray(CHUNK))
        self._filled = 0
        self._room = memoryview(bytearray(CHUNK + _OVERHEAD))

    def write(self, data: Data, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            if self._filled == CHUNK:  # not the last one, for more comes
                self._seal(last=False)
            piece = view[: CHUNK - self._filled]
            self._waiting[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            view = view[len(piece) :]
        return size

    def finish(self) -> None:
        self._seal(last=True)

    def _seal(self, *, last: bool) -> None:
        self._chunks.seal(self._number, self._waiting[: self._filled], last=last, room=self._room)
        self._filled = 0
        self._number += 1


class _Parts:
    """Gathers each chunk until it is whole: two parts may meet inside one."""

    def __init__(self, chunks: _Chunks, size: int) -> None:
        self._chunks = chunks
        self._size = size
        self._lock = threading.Lock()
        self._gathering: dict[int, _Gathering] = {}
        if not size:
            chunks.seal(0, b"", last=True)

    def write(self, data: Data, offset: int) -> tuple[Range, ...]:
        view = memoryview(data).cast("B")
        written = []
        while view:
            number, inside = divmod(offset, CHUNK)
            piece = view[: CHUNK - inside]
            whole = self._gather(number, inside, piece)
            if whole is not None:
                end = number * CHUNK + len(whole)
                self._chunks.seal(number, whole, last=end == self._size)
                written.append((number * CHUNK, end))
            view, offset = view[len(piece) :], offset + len(piece)
        return tuple(written)

    def _gather(self, number: int, inside: int, piece: memoryview) -> Data | None:
        length = min(CHUNK, self._size - number * CHUNK)
        if len(piece) == length:
            return piece
        with self._lock:
            chunk = self._gathering.setdefault(number, _Gathering(length))
            chunk.take(inside, piece)
            return self._gathering.pop(number).content if chunk.whole else None


class _Gathering:
    """A chunk that comes in pieces; ``content`` counts where ``came`` says so."""

    def __init__(self, length: int) -> None:
        self.content = bytearray(length)
        self._came: list[Range] = []

    def take(self, inside: int, piece: memoryview) -> None:
        self.content[inside : inside + len(piece)] = piece
        self._came.append((inside, inside + len(piece)))

    @property
    def whole(self) -> bool:
        at = 0
        for start, end in sorted(self._came):
            if start > at:
                return False
            at = max(at, end)
        return at == len(self.content)


class _Reader(io.RawIOBase):
    """Decrypts a chunk at a time, and keeps the newest."""

    def __init__(self, chunks: _Chunks, path: Path, size: int) -> None:
        super().__init__()
        self._chunks = chunks
        self._path = path
        self._size = size
        self._at = 0
        self._content = memoryview(bytearray(min(CHUNK, size)))
        self._room = memoryview(bytearray(len(self._content) + _OVERHEAD))
        self._newest = -1
        if not size:
            self._open(0)  # nobody would read it otherwise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._at >= self._size:
            return 0
        number, offset = divmod(self._at, CHUNK)
        if self._newest != number:
            self._open(number)
        piece = self._content[offset : min(CHUNK, self._size - number * CHUNK)][: len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _open(self, number: int) -> None:
        self._newest = -1  # what is there is no longer the old one, and not yet the new one
        length = min(CHUNK, self._size - number * CHUNK)
        last = number * CHUNK + length == self._size
        try:
            self._chunks.open(number, self._content[:length], last=last, room=self._room)
        except (InvalidTag, ValueError):
            said = f"its bytes from {number * CHUNK} on were changed, or encrypted with another key"
            raise _damaged(self._path, said) from None
        self._newest = number


def _place(number: int, *, last: bool) -> bytes:
    """What is authenticated with a chunk."""
    return number.to_bytes(8, "big") + bytes([last])


def _offset(number: int) -> int:
    return _HEADER + number * (CHUNK + _OVERHEAD)


def write_all(file: int, data: Data, offset: int) -> int:
    rest = memoryview(data).cast("B")
    size = len(rest)
    while rest:
        count = os.pwrite(file, rest, offset)
        rest, offset = rest[count:], offset + count
    return size


def _damaged(path: Path, how: str) -> Corrupt:
    return Corrupt(
        f"{path} is damaged: {how}",
        next_step="Make its content again, or stop the hub: `shipway hub repair` names what needs it.",
    )
