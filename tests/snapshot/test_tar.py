"""The tar of a snapshot: one digest for equal content, and nothing that leaves the folder."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.errors import UserError
from shipway.oci.unpack import extract
from shipway.snapshot import SnapshotFile, collect, write_tar

# The same examples on every machine, and no deadline: two cores are shared by many.
PROPERTY = settings(derandomize=True, deadline=None, max_examples=40)

# A fixed content has this digest for ever: a change of it would retrain everybody's models.
GOLDEN = "sha256:c8aab2847db103239e55c8309421c9da82fde9f11e5e9466065676422455dbbf"

# Names that a snapshot leaves out are tested in test_collect.
_segment = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20).filter(
    lambda text: not text.startswith(".") and not text.endswith(".pyc") and text not in ("venv", "node_modules")
)
_trees = st.dictionaries(_segment, st.tuples(st.binary(max_size=2000), st.booleans()), min_size=1, max_size=8)


def _write(root: Path, tree: dict[str, tuple[bytes, bool]]) -> None:
    for name, (content, executable) in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)


def _tar(root: Path) -> tuple[str, bytes]:
    out = io.BytesIO()
    return write_tar(collect(root, ["**"]), out), out.getvalue()


def test_the_digest_is_that_of_the_bytes_and_never_changes(tmp_path: Path) -> None:
    _write(tmp_path, {"a/train.py": (b"print(1)\n", False), "run.sh": (b"#!/bin/sh\n", True), "ü": (b"", False)})
    digest, data = _tar(tmp_path)
    assert digest == "sha256:" + hashlib.sha256(data).hexdigest() == GOLDEN


@pytest.mark.slow
@PROPERTY
@given(_trees)
def test_equal_content_has_an_equal_digest_and_comes_back(tree: dict[str, tuple[bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        one, two, three = (Path(scratch, name) for name in "123")
        _write(one, tree)
        _write(two, dict(reversed(tree.items())))
        for path in two.rglob("*"):
            os.utime(path, (1, 1))
        digest, data = _tar(one)
        assert _tar(two) == (digest, data)
        extract(io.BytesIO(data), ".tar", three)
        assert _tar(three) == (digest, data)


@pytest.mark.slow
@PROPERTY
@given(_trees, st.binary(min_size=1, max_size=10))
def test_other_content_has_another_digest(tree: dict[str, tuple[bytes, bool]], more: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _write(root, tree)
        before = _tar(root)[0]
        name, (content, executable) = next(iter(tree.items()))
        (root / name).write_bytes(content + more)
        changed = _tar(root)[0]
        (root / name).write_bytes(content)
        (root / name).chmod(0o644 if executable else 0o755)
        assert len({before, changed, _tar(root)[0]}) == 3


def test_headers_hold_nothing_of_this_machine(tmp_path: Path) -> None:
    _write(tmp_path, {"a.py": (b"1", False), "b/run": (b"2", True)})
    (tmp_path / "a.py").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(_tar(tmp_path)[1])) as tar:
        headers = [(one.name, one.mode, one.mtime, one.uid, one.gid, one.uname, one.pax_headers) for one in tar]
    assert headers == [("a.py", 0o644, 0, 0, 0, "", {}), ("b/run", 0o755, 0, 0, 0, "", {})]


def test_a_file_that_goes_away_or_shrinks_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gone cannot be read"):
        write_tar([SnapshotFile("gone", tmp_path / "gone")], io.BytesIO())
    path = tmp_path / "big"
    path.write_bytes(b"x" * 1_000_000)
    with pytest.raises(UserError, match="big changed while it was read"):
        write_tar([SnapshotFile("big", path)], _Cuts(path))


class _Cuts(io.BytesIO):
    """A target that cuts the file when its header arrives, before its content is read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def write(self, data: object, /) -> int:
        self._path.write_bytes(b"")
        return 0


@pytest.mark.slow
def test_it_imports_nothing_of_ours_but_errors() -> None:
    code = "import sys, shipway.snapshot; print(*sorted(one for one in sys.modules if one.startswith('shipway')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["shipway", "shipway.errors", "shipway.snapshot"]
