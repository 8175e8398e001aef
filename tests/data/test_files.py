"""The file list: canonical, and believed only as far as it is one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shipway.data.files import DataFile, check_names, from_bytes, to_bytes
from shipway.errors import Corrupt, Refused, ShipwayError, UserError
from shipway.oci import Digest

EMPTY = Digest.of(b"")
FILES = (
    DataFile(name="a.csv", size=4, digest=Digest.of(b"1,2\n")),
    DataFile(name="deep/b", size=0, digest=EMPTY, executable=True),
    DataFile(name="ü", size=0, digest=EMPTY, etag='"x"', revision="7"),
)


def line(**changes: Any) -> bytes:
    return json.dumps({"name": "a", "size": 0, "digest": EMPTY, "mode": "0644", **changes}).encode() + b"\n"


def test_what_is_written_is_read() -> None:
    assert from_bytes(to_bytes(FILES)) == FILES
    assert from_bytes(b"") == ()


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense",
        b"\xff\xfe",
        b"[]\n",
        b"{}\n",
        b"[" * 100_000,
        line(size=-1),
        line(size=True),
        line(size="4"),
        line(name=""),
        line(name=5),
        line(name="./a"),
        line(digest="sha256:x"),
        line(name="b") + line(name="a"),
    ],
)
def test_what_is_no_list_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt, match="file list"):
        from_bytes(data)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="leaves the folder"):
        from_bytes(line(name=name))


@pytest.mark.parametrize(("names", "told"), [(["a", "a"], "a comes twice"), (["a", "a/b"], "a is a file and a folder")])
def test_names_that_cannot_lie_in_one_folder(names: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_names(names)


@given(some.binary(max_size=200) | some.text(max_size=200).map(str.encode))
def test_no_bytes_do_more_than_an_error(data: bytes) -> None:
    try:
        files = from_bytes(data)
    except ShipwayError:
        return
    assert from_bytes(to_bytes(files)) == files
