"""The file list of a data set: one canonical line of JSON a file, so that equal files have one digest. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from shipway.errors import Corrupt, Refused, UserError
from shipway.oci import Digest
from shipway.oci.manifest import canonical
from shipway.oci.unpack import checked_name

LIST_TYPE = "application/vnd.shipway.dataset.files.v1+jsonl"
LARGEST_LIST = 256 << 20  # bytes: more than a million files
PART = ".shipway-part"  # how a file is called while a pull writes it; the next pull writes it anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file before it was read: its name in the data set (relative, with ``/``) and its bytes.

    ``etag`` and ``revision`` are what an object store said of it when it was pinned; empty for what lies here.
    """

    name: str
    size: int
    executable: bool = False
    etag: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile(Found):
    """A file with the digest of its content."""

    digest: str


def to_bytes(files: Iterable[DataFile]) -> bytes:
    """The list, in the order of its names."""
    return b"".join(canonical(_line(one)) + b"\n" for one in files)


def from_bytes(data: bytes) -> tuple[DataFile, ...]:
    """The inverse. Raises Corrupt for what is no list, Refused for a name that leaves the folder."""
    try:
        files = tuple(_file(json.loads(line)) for line in data.splitlines())
        if [one.name for one in files] != sorted(one.name for one in files):
            raise ValueError("its names are not sorted")  # the chunks are in the order of the names
    except Refused:
        raise
    except (KeyError, TypeError, ValueError, RecursionError, UserError) as error:
        raise Corrupt(
            f"the file list of a data set cannot be read: {error}", next_step="Add or pull the data set again."
        ) from error
    check_names([one.name for one in files])
    return files


def check_names(names: Iterable[str]) -> None:
    """Raises UserError for names that cannot lie in one folder: one that comes twice, or is a file and a folder, or is
    that of a file which a pull writes."""
    seen: set[str] = set()
    folders: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(f"{name} comes twice in the data set")
        if PART in name.split("/"):
            raise UserError(
                f"{name} is what a pull that was killed left behind, and no file of a data set",
                next_step="Delete it, or let the pull go on: the same `shipway data pull` again.",
            )
        seen.add(name)
        folders.update(_above(name))
    if both := sorted(seen & folders):
        raise UserError(
            f"{both[0]} is a file and a folder: files of both names cannot lie in one folder",
            next_step="Name a prefix that holds only one of them.",
        )


def _above(name: str) -> Iterable[str]:
    return (parent.as_posix() for parent in PurePosixPath(name).parents if parent.name)


def _line(file: DataFile) -> dict[str, str | int]:
    line: dict[str, str | int] = {"name": file.name, "size": file.size, "digest": file.digest}
    line["mode"] = "0755" if file.executable else "0644"
    remote = {"etag": file.etag, "revision": file.revision}
    return line | {name: value for name, value in remote.items() if value}


def _file(line: dict[str, object]) -> DataFile:
    name, size = line["name"], line["size"]
    if not isinstance(name, str) or not name or checked_name(name) != name:
        raise ValueError(f"{name!r} is not the name of a file")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{name} has the size {size!r}")
    return DataFile(
        name=name,
        size=size,
        digest=Digest(str(line["digest"])),
        executable=line.get("mode") == "0755",
        etag=str(line.get("etag", "")),
        revision=str(line.get("revision", "")),
    )
