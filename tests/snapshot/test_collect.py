"""Which files a snapshot takes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.snapshot import collect, collect_path, walk


def _tree(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def _names(root: Path, *patterns: str) -> list[str]:
    return [file.name for file in collect(root, patterns)]


TREE = ("train.py", "app.py", "README.md", "src/a.py", "src/deep/b.py", "src/data.csv", "tests/test_a.py")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["**"], sorted(TREE)),
        ([], sorted(TREE)),
        (["."], sorted(TREE)),
        (["train.py"], ["train.py"]),
        (["./train.py"], ["train.py"]),
        (["*.py"], ["app.py", "train.py"]),
        (["**/*.py"], ["app.py", "src/a.py", "src/deep/b.py", "tests/test_a.py", "train.py"]),
        (["src"], ["src/a.py", "src/data.csv", "src/deep/b.py"]),
        (["src/"], ["src/a.py", "src/data.csv", "src/deep/b.py"]),
        (["src/**"], ["src/a.py", "src/data.csv", "src/deep/b.py"]),
        (["src/*"], ["src/a.py", "src/data.csv"]),
        (["src/**/*.py"], ["src/a.py", "src/deep/b.py"]),
        (["s*/*.csv"], ["src/data.csv"]),
        (["?pp.py"], ["app.py"]),
        (["[at]*.py"], ["app.py", "train.py"]),
        (["[!a]*.py"], ["train.py"]),
        (["[^]*", "app.py"], ["app.py"]),
        (["**", "!tests"], sorted(set(TREE) - {"tests/test_a.py"})),
        (["!tests", "!**/*.md", "!src"], ["app.py", "train.py"]),
        (["!src/deep", "src"], ["src/a.py", "src/data.csv"]),
    ],
)
def test_patterns(tmp_path: Path, patterns: Sequence[str], expected: list[str]) -> None:
    _tree(tmp_path, *TREE)
    assert _names(tmp_path, *patterns) == expected


def test_what_no_snapshot_takes(tmp_path: Path) -> None:
    folders = (".git", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache")
    unwanted = [f"{where}{folder}/file" for folder in folders for where in ("", "pkg/")]
    _tree(tmp_path, "a.py", "a.pyc", ".DS_Store", ".ipynb_checkpoints/a.ipynb", *unwanted)
    (tmp_path / ".#a.py").symlink_to("user@host.123:456")  # Emacs' lock of a.py
    assert _names(tmp_path, "**") == ["a.py"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("*.csv", ["keep/a.py", "keep/out/b.py", "out/c.py"]),
        ("# comment\n\nout/", ["d.csv", "keep/a.py"]),
        ("/out", ["d.csv", "keep/a.py", "keep/out/b.py"]),
        ("keep/out", ["d.csv", "keep/a.py", "out/c.py"]),
        ("*.csv\n!d.csv", ["d.csv", "keep/a.py", "keep/out/b.py", "out/c.py"]),
        ("d.csv/", ["d.csv", "keep/a.py", "keep/out/b.py", "out/c.py"]),
    ],
)
def test_the_ignore_file(tmp_path: Path, lines: str, expected: list[str]) -> None:
    _tree(tmp_path, "d.csv", "keep/a.py", "keep/out/b.py", "out/c.py")
    (tmp_path / ".shipwayignore").write_text(lines)
    assert _names(tmp_path, "**") == expected


def test_a_name_that_matches_nothing_comes_with_the_nearest(tmp_path: Path) -> None:
    _tree(tmp_path, *TREE)
    with pytest.raises(UserError, match=r"(?s)trian\.py matches nothing.*Nearest: train\.py"):
        _names(tmp_path, "**", "trian.py")
    with pytest.raises(UserError, match=r"(?s)scr matches nothing.*Nearest: src"):
        _names(tmp_path, "scr")
    with pytest.raises(UserError, match=r"(?s)zzzzzz matches nothing.*Write a file, a folder"):
        _names(tmp_path, "zzzzzz")


def test_a_name_that_is_excluded_says_so(tmp_path: Path) -> None:
    _tree(tmp_path, "train.py", "venv/bin/python")
    with pytest.raises(UserError, match=r"venv in .* is always left out"):
        _names(tmp_path, "train.py", "venv")


def test_a_bad_link_elsewhere_does_not_hide_the_wrong_name(tmp_path: Path) -> None:
    _tree(tmp_path, "train.py")
    (tmp_path / "bad").symlink_to("/nowhere")
    with pytest.raises(UserError, match=r"trian\.py matches nothing"):
        _names(tmp_path, "trian.py")


@pytest.mark.parametrize("patterns", [["*.rs"], ["**", "!**"]])
def test_nothing_left_is_an_error(tmp_path: Path, patterns: list[str]) -> None:
    _tree(tmp_path, *TREE)
    with pytest.raises(UserError, match="no file in"):
        collect(tmp_path, patterns)


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../other", "src/../../x", ""])
def test_a_pattern_cannot_leave(tmp_path: Path, pattern: str) -> None:
    _tree(tmp_path, *TREE)
    with pytest.raises(UserError, match="leaves the folder"):
        collect(tmp_path, [pattern])


def test_a_pattern_that_is_no_glob(tmp_path: Path) -> None:
    _tree(tmp_path, *TREE)
    with pytest.raises(UserError, match="not a glob"):
        collect(tmp_path, ["[z-a]*"])


def test_links_inside_are_what_they_point_to(tmp_path: Path) -> None:
    _tree(tmp_path, "real/a.txt")
    (tmp_path / "file").symlink_to("real/a.txt")
    (tmp_path / "folder").symlink_to("real")
    assert _names(tmp_path, "**") == ["file", "folder/a.txt", "real/a.txt"]
    assert {file.path.read_text() for file in collect(tmp_path, ["**"])} == {"real/a.txt"}


def test_links_that_lead_nowhere_good_are_refused_by_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _tree(root, "a.py", "sub/b.py")
    _tree(tmp_path, "secret")
    cases = {"outside": tmp_path / "secret", "dangling": Path("gone"), "circle": Path("circle"), "sub/up": root}
    for name, target in cases.items():
        link = root / name
        link.symlink_to(target)
        with pytest.raises(UserError, match=f"link {name} "):
            collect(root, ["**"])
        assert _names(root, "**", f"!{name}") == ["a.py", "sub/b.py"]
        link.unlink()


def test_a_link_that_is_not_asked_for_may_lead_anywhere(tmp_path: Path) -> None:
    _tree(tmp_path, "a.py")
    (tmp_path / "data").symlink_to("/")
    assert _names(tmp_path, "*.py") == ["a.py"]


def test_a_socket_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(UserError, match="s is neither a file nor a folder"):
            collect(tmp_path, ["**"])


def test_a_name_must_be_utf8(tmp_path: Path) -> None:
    (tmp_path / "bad\udcff").write_text("")
    with pytest.raises(UserError, match="not UTF-8"):
        collect(tmp_path, ["**"])


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        collect(tmp_path / "gone", ["**"])


def test_an_input_is_a_file_or_a_folder(tmp_path: Path) -> None:
    _tree(tmp_path, "data/a.csv", "data/b/c.csv")
    assert [file.name for file in collect_path(tmp_path / "data" / "a.csv")] == ["a.csv"]
    assert [file.name for file in collect_path(tmp_path / "data")] == ["a.csv", "b/c.csv"]
    with pytest.raises(UserError, match=r"(?s)dta matches nothing.*Nearest: data"):
        collect_path(tmp_path / "dta")


def test_walk_keeps_everything_unless_told(tmp_path: Path) -> None:
    _tree(tmp_path, "a", ".git/b", "a.b/c")
    assert [file.name for file in walk(tmp_path)] == [".git/b", "a", "a.b/c"]
