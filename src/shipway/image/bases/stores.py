"""Images in files that are not ours: an OCI layout in a folder, and archives. They are only read.

Source: OCI image-spec v1.1.1, image-layout.md.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from shipway.errors import Corrupt, NotFound, Refused, UserError
from shipway.oci import Descriptor, Digest, Index, Layout
from shipway.oci.digest import CHUNK
from shipway.oci.document import NOT_READABLE
from shipway.oci.tar import Limits, members
from shipway.oci.unpack import checked_name

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST_DOCUMENT = 8 << 20  # bytes: what of index.json, manifest.json and configs is held in memory

_LINKS = 8  # that are followed from one member to another: docker saves an equal layer as a link
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")


class Store(Protocol):
    """Files by name. Names are those of an OCI layout, or of an archive that Docker saved."""

    @property
    def path(self) -> Path:
        """Where it is, for messages."""

    def open(self, name: str) -> AbstractContextManager[io.BufferedReader]:
        """Raises NotFound."""


def folder(path: Path) -> Store:
    """A layout in a folder. Raises UserError when it is none."""
    if not (path / "oci-layout").is_file():
        raise UserError(
            f"{path} is not an OCI layout: it has no file oci-layout",
            next_step="Name a folder as `skopeo copy docker://... oci:PATH:TAG` writes it; an archive is tar:PATH.",
        )
    return Folder(path)


def read(store: Store, name: str, limit: int = LARGEST_DOCUMENT) -> bytes:
    """A small file. Raises NotFound, and Refused when it is not small."""
    with store.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused(f"{name} in {store.path} has more than {limit} bytes")
    return data


def index(store: Store) -> Index:
    """What the layout lists. Raises Corrupt when it cannot be read."""
    data = read(store, "index.json")
    try:
        return Index.from_bytes(data)
    except NOT_READABLE as error:
        raise Corrupt(f"index.json in {store.path} is not an image index: {error}") from error


def blob(digest: Digest) -> str:
    """The name of a blob in a layout."""
    return f"blobs/sha256/{digest.hex}"


@dataclass(frozen=True, slots=True)
class Folder:
    """A layout as a folder."""

    path: Path

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedReader]:
        try:
            file = (self.path / name).open("rb")
        except FileNotFoundError:
            raise _missing(self.path, name) from None
        except OSError as error:
            raise UserError(f"{self.path / name} cannot be read: {error.strerror}") from error
        with file:
            yield file


class Archive:
    """A tar that is not compressed, so that its members can be read where they lie."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Looks at every member once. Raises UserError, Refused for what no tool writes, Corrupt."""
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            with path.open("rb") as file:
                _check_is_plain(path, file)
                for member, _ in members(file, limits):
                    name = checked_name(member.name)
                    if member.kind == "file":
                        self._places[name] = file.tell(), member.size
                    elif member.kind in ("symbolic link", "hard link"):
                        near = PurePosixPath(name).parent if member.kind == "symbolic link" else PurePosixPath()
                        self._links[name] = _plain(near / member.target)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        except (Corrupt, Refused) as error:
            raise type(error)(
                f"{path} is no archive of an image: {error.message}", next_step=error.next_step
            ) from error

    @property
    def path(self) -> Path:
        return self._path

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedReader]:
        at = _plain(PurePosixPath(name))
        for _ in range(_LINKS):
            if at in self._places or at not in self._links:
                break
            at = self._links[at]
        if at not in self._places:
            raise _missing(self._path, name)
        with self._path.open("rb") as file:
            yield io.BufferedReader(_Part(file, *self._places[at]), CHUNK)

    def has(self, name: str) -> bool:
        """Whether it is a file of the archive, or leads to one."""
        return name in self._places or name in self._links


class _Part(io.RawIOBase):
    """Some bytes of a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file, self._left = file, size
        file.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _check_is_plain(path: Path, file: BinaryIO) -> None:
    begins = file.read(6)
    file.seek(0)
    if begins.startswith(_COMPRESSED):
        raise UserError(f"the archive {path} is compressed", next_step="Unpack it first (gunzip, zstd -d, xz -d).")


def _plain(path: PurePosixPath) -> str:
    """Without ``.`` and ``..``; one that leads out of the archive names nothing in it."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            del parts[-1:]
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)


def _missing(path: Path, name: str) -> NotFound:
    return NotFound(f"{path} has no {name}", next_step="Is it whole? Write it anew with the program that made it.")


class Own:
    """The layout that is built in, as a store of manifests: it may be encrypted, and its blobs need not be copied."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def path(self) -> Path:
        return self._layout.root

    @contextmanager
    def open(self, name: str) -> Iterator[io.BufferedReader]:
        if name == "index.json":
            yield io.BufferedReader(cast("io.RawIOBase", io.BytesIO(self._layout.index().to_bytes())))
            return
        digest = Digest(f"sha256:{name.rpartition('/')[2]}")
        size = self._layout.blobs.size(digest)
        if size is None:
            raise _missing(self.path, name)
        # Who reads it verifies it, as with every store.
        with self._layout.open_unverified(Descriptor("application/octet-stream", digest, size)) as blob:
            yield cast("io.BufferedReader", blob)
