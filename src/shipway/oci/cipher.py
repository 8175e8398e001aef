"""What stands between the content of a blob and its file: nothing, or encryption under the layout's key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shipway.errors import EnvironmentFault, Refused, UserError
from shipway.oci.digest import Digest
from shipway.oci.encrypted import KEY, Data, Encrypted, Range, write_all

MARK = "dev.shipway.encryption"  # in oci-layout: the id of the key
HALF = "unfinished:"  # before it, while not all blobs are encrypted

_GIVE_KEY = "Name the file of that key in SHIPWAY_ENCRYPTION_KEY_FILE."
_ENCRYPT = "Unset SHIPWAY_ENCRYPTION_KEY_FILE, or encrypt what is there: shipway hub stop; shipway hub encrypt"
_MAKE_KEY = "Make one with: (umask 077; openssl rand -base64 32 > FILE)"


class Writer(Protocol):
    """Takes the content of a blob in order."""

    def write(self, data: Data, /) -> int:
        """Take all of it. Raises OSError."""
        ...

    def finish(self) -> None:
        """That was all: write what is still in memory. Raises OSError."""
        ...


class Parts(Protocol):
    """Takes the content of a blob in any order and from any thread."""

    def write(self, data: Data, offset: int) -> tuple[Range, ...]:
        """Take the bytes at ``offset``; what has got into the file by that. Of a chunk that is not whole nothing has.

        Raises OSError.
        """
        ...


class Cipher(Protocol):
    """What stands between the content of a blob and its file. ``file`` is a descriptor; the caller closes it."""

    @property
    def key_id(self) -> str:
        """Names the key without telling it; empty when nothing is encrypted."""
        ...

    def size(self, stored: int) -> int | None:
        """The size of the content of a file of ``stored`` bytes; None when no content has such a file."""
        ...

    def stored(self, size: int) -> int:
        """The size of the file of a content."""
        ...

    def reader(self, file: int, path: Path) -> io.RawIOBase:
        """The content, seekable; of a file in parts those that have come. It and who reads it raise Corrupt when the
        file is not what was written."""
        ...

    def writer(self, file: int) -> Writer:
        """Write into an empty file."""
        ...

    def parts(self, file: int, path: Path, size: int) -> Parts:
        """Write content of ``size`` bytes into a file that has its full length; one begun before is gone on with.

        Raises Corrupt when the file was begun as something else.
        """
        ...


class Plain:
    """Files hold the content and nothing else, as every other tool expects."""

    key_id = ""

    def size(self, stored: int) -> int | None:
        return stored

    def stored(self, size: int) -> int:
        return size

    def reader(self, file: int, path: Path) -> io.RawIOBase:
        return io.FileIO(file, closefd=False)

    def writer(self, file: int) -> Writer:
        return _PlainWriter(file)

    def parts(self, file: int, path: Path, size: int) -> Parts:
        return _PlainParts(file)


PLAIN = Plain()


def of_file(path: Path | None) -> Cipher:
    """The cipher of a key file (32 random bytes in base64, readable by its owner only); PLAIN without one.

    Raises EnvironmentFault when the file cannot be read, UserError when others can read it or it holds no key.
    """
    if path is None:
        return PLAIN
    try:
        with path.open("rb") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read(1024)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot read the encryption key {path}: {error.strerror}", next_step=_MAKE_KEY
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise UserError(
            f"others may read the encryption key {path} (mode {stat.S_IMODE(mode):04o}, allowed is 0600)",
            next_step=f"chmod 600 {path}",
        )
    try:
        return Encrypted(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, UserError):
        raise UserError(f"{path} holds no encryption key: it is {KEY} bytes in base64", next_step=_MAKE_KEY) from None


def sha256(content: io.RawIOBase) -> Digest:
    """The digest of all that is read. Raises Corrupt."""
    return Digest("sha256:" + hashlib.file_digest(content, "sha256").hexdigest())


def marked(marker: Mapping[str, str], cipher: Cipher) -> dict[str, str]:
    """The content of ``oci-layout``, saying which key encrypts the blobs; unchanged when none does."""
    return {**marker, MARK: cipher.key_id} if cipher.key_id else dict(marker)


def check_key(root: Path, marked_with: str, cipher: Cipher) -> None:
    """Whether a layout may be opened with that cipher. Raises Refused when it is not the one it was made with."""
    if marked_with == cipher.key_id:
        return
    if marked_with.startswith(HALF):
        said, todo = "is half encrypted: `shipway hub encrypt` was not finished", "shipway hub encrypt"
    elif not cipher.key_id:
        said, todo = f"is encrypted with the key {marked_with}, and no key was given", _GIVE_KEY
    elif not marked_with:
        said, todo = f"is not encrypted, and the key {cipher.key_id} was given", _ENCRYPT
    else:
        said, todo = f"is encrypted with the key {marked_with}, and the key {cipher.key_id} was given", _GIVE_KEY
    raise Refused(f"the OCI layout {root} {said}", next_step=todo)


class _PlainWriter:
    def __init__(self, file: int) -> None:
        self._file = file
        self._at = 0

    def write(self, data: Data, /) -> int:
        count = write_all(self._file, data, self._at)
        self._at += count
        return count

    def finish(self) -> None:
        pass


class _PlainParts:
    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, data: Data, offset: int) -> tuple[Range, ...]:
        return ((offset, offset + write_all(self._file, data, offset)),)
