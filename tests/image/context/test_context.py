"""Which files of a folder get into an image, what is left out, and what ends the build."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from shipway.errors import Refused, UserError
from shipway.image.context import Context, LeftOut, context, entries
from shipway.image.context.scanning import scan
from shipway.snapshot import SnapshotFile

SECRET = "glpat-" + "q7Rt2mXw9KpL4sVz8YbN"


def write(root: Path, files: dict[str, str] | list[str]) -> Path:
    """The files with their contents, or with any where only names are given; the folder."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name] if isinstance(files, dict) else "x = 1\n")
    return root


def names(found: Context) -> list[str]:
    return [file.name for file in found.files]


def test_what_never_gets_in(tmp_path: Path) -> None:
    litter = [".git/config", ".env", ".env.local", "sub/.env", ".venv/bin/python", "pkg/__pycache__/a.pyc", ".vscode/x"]
    mine = ["myenv/pyvenv.cfg", "myenv/lib/a.py", "conda/conda-meta/history", "conda/lib.py"]
    more = [".idea/x", ".a.py.swp", "a.py~", "node_modules/x/y.js", ".mypy_cache/z", ".tox/t", ".gitignore", "._a.py"]
    write(tmp_path, [*litter, *mine, *more, "a.py", ".env.example", "sub/.env.template", ".streamlit/config.toml"])
    found = context(tmp_path)
    assert names(found) == [".env.example", ".streamlit/config.toml", "a.py", "sub/.env.template"]
    left = dict(found.left_out)
    assert left[".git"] == "version control"
    assert left["sub/.env"] == "may hold secrets"
    assert left["myenv"] == left["conda"] == "a virtual environment"


def test_gitignore_of_all_places_and_what_brings_back(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    write(repository, {".gitignore": "*.log\n/app/out\n", ".git/info/exclude": "scratch\n", ".git/HEAD": ""})
    app = repository / "app"
    write(app, {"pkg/.gitignore": "!keep.log\ndata/\n", ".gitignore": "*.tmp\n", ".shipwayignore": "!wanted.tmp\n"})
    write(
        app, ["a.log", "b.tmp", "wanted.tmp", "out/x", "pkg/out/x", "pkg/keep.log", "pkg/data/x", "scratch/x", "m.py"]
    )
    found = context(app)
    assert names(found) == ["m.py", "pkg/keep.log", "pkg/out/x", "wanted.tmp"]
    left = dict(found.left_out)
    assert left["b.tmp"] == ".gitignore: *.tmp"
    assert left["pkg/data"] == "pkg/.gitignore: data/"
    assert left["a.log"] == f"{repository}/.gitignore: *.log"
    assert left["scratch"] == ".git/info/exclude: scratch"


def test_a_worktree_finds_its_excludes_in_the_repository(tmp_path: Path) -> None:
    write(tmp_path, {"main/.git/info/exclude": "local\n", "main/.git/worktrees/w/commondir": "../..\n"})
    write(tmp_path, {"w/.git": f"gitdir: {tmp_path}/main/.git/worktrees/w\n", "w/local": "", "w/a.py": ""})
    assert names(context(tmp_path / "w")) == ["a.py"]


def test_above_a_folder_only_its_repository_counts(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.py\n", "app/a.py": "", "app/b.txt": ""})
    assert names(context(tmp_path / "app")) == ["a.py", "b.txt"]


@pytest.mark.parametrize("line", ["*", "/build", "build/", "app/"])
def test_a_folder_that_its_repository_ignores_was_named_on_purpose(tmp_path: Path, line: str) -> None:
    write(tmp_path, {".gitignore": line, ".git/HEAD": "", "build/app/a.py": "", "build/app/.gitignore": "*.log"})
    write(tmp_path, ["build/app/x.log"])
    assert names(context(tmp_path / "build/app")) == ["a.py"]


def test_a_folder_comes_back_with_all_that_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "dist/\n*.whl\n", ".shipwayignore": "!dist/\n", "dist/a.whl": "", "dist/b": ""})
    assert names(context(tmp_path)) == ["dist/a.whl", "dist/b"]


def test_what_is_named_and_ignored_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {".gitignore": "*.bin\ndist/\ndata/*\n", "m.bin": "", "dist/x.py": "", "data/a": "", ".env": ""})
    for name, hint in (
        ("m.bin", "'!m.bin'"),
        ("dist/x.py", "'!dist'"),
        ("data", "'!data/a'"),
        (".env", "--allow .env"),
    ):
        with pytest.raises(UserError, match="is named, and does not get in") as caught:
            context(tmp_path, [name])
        assert hint in caught.value.next_step
    write(tmp_path, {".shipwayignore": "!m.bin\n"})
    assert names(context(tmp_path, ["m.bin"])) == ["m.bin"]


def test_patterns_are_those_of_source_files(tmp_path: Path) -> None:
    write(tmp_path, ["a.py", "b.txt", "src/c.py", "tests/d.py"])
    found = context(tmp_path, ["**/*.py", "!tests"])
    assert names(found) == ["a.py", "src/c.py"]
    assert found.left_out == (LeftOut("tests", "excluded by '!'"),)
    with pytest.raises(UserError, match=r"serv\.py matches nothing"):
        context(tmp_path, ["serv.py"])
    with pytest.raises(UserError, match=r"no file in .* is left for the image"):
        context(tmp_path, ["*.md"])


def test_secrets_are_refused_all_at_once_and_not_shown(tmp_path: Path) -> None:
    write(tmp_path, {f"f{number:02}.py": f"\n\nkey = '{SECRET}'\n" for number in range(30)})
    with pytest.raises(Refused) as caught:
        context(tmp_path)
    message = caught.value.message
    assert message.startswith("30 secrets would get into the image:\n  f00.py:3: a GitLab token (glpa…)\n")
    assert message.endswith("\n  and 10 more")
    assert SECRET not in str(caught.value)
    assert len(message.splitlines()) == 22
    assert "--allow f00.py" in caught.value.next_step


@pytest.mark.parametrize("allow", [["a.py", "keys"], ["**"], ["a.py", "keys/*.pem"], ["./a.py", "keys/"]])
def test_allow_takes_files_folders_and_globs(tmp_path: Path, allow: list[str]) -> None:
    write(tmp_path, {"a.py": SECRET, "keys/k.pem": SECRET, "b.py": ""})
    assert names(context(tmp_path, allow=allow)) == ["a.py", "b.py", "keys/k.pem"]


@pytest.mark.parametrize("allow", ["c.py", "*.key", "keys", "ignored.py", ".git/config"])
def test_an_allow_that_matches_nothing_is_an_error(tmp_path: Path, allow: str) -> None:
    write(tmp_path, {"a.py": "", "ignored.py": SECRET, ".gitignore": "ignored.py", ".git/config": ""})
    with pytest.raises(UserError, match="matches no file that gets into the image"):
        context(tmp_path, allow=[allow])


@pytest.mark.parametrize("allow", ["!a.py", "/etc/passwd", "../a.py"])
def test_an_allow_that_says_nothing(tmp_path: Path, allow: str) -> None:
    write(tmp_path, ["a.py"])
    with pytest.raises(UserError):
        context(tmp_path, allow=[allow])


def test_allow_brings_an_env_in(tmp_path: Path) -> None:
    write(tmp_path, [".env", "a.py"])
    assert names(context(tmp_path, allow=[".env"])) == [".env", "a.py"]


def test_a_large_file_is_said_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": SECRET, "big.bin": ""})
    os.truncate(tmp_path / "big.bin", 5_000_000_000)
    with pytest.raises(Refused, match=r"of 5 GB in 2 files:\n  big.bin: 5 GB") as caught:
        context(tmp_path)
    assert "--allow big.bin" in caught.value.next_step
    (tmp_path / "a.py").write_text("")
    assert context(tmp_path, allow=["big.bin"]).size == 5_000_000_000
    (tmp_path / ".shipwayignore").write_text("*.bin\n")
    assert names(context(tmp_path)) == ["a.py"]


def test_links_become_what_they_point_to(tmp_path: Path) -> None:
    write(tmp_path, ["src/a.py", ".env", "lib/b.py"])
    for link, target in (("b.py", "src/a.py"), ("settings", ".env"), ("also", "lib")):
        (tmp_path / link).symlink_to(target)
    found = context(tmp_path)
    assert names(found) == ["also/b.py", "b.py", "lib/b.py", "src/a.py"]
    assert LeftOut("settings", "a link to .env: may hold secrets") in found.left_out


def test_a_link_into_a_folder_that_never_gets_in(tmp_path: Path) -> None:
    write(tmp_path, [".git/config", "a.py"])
    (tmp_path / "link").symlink_to(".git")
    assert names(context(tmp_path)) == ["a.py"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("/etc/passwd", "outside"), ("nothing", "leads nowhere"), ("link", "leads nowhere"), (".", "a folder that holds")],
)
def test_links_that_lead_astray(tmp_path: Path, target: str, message: str) -> None:
    write(tmp_path, ["a.py"])
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(UserError, match=message):
        context(tmp_path)
    (tmp_path / ".gitignore").write_text("link\n")
    assert names(context(tmp_path)) == ["a.py"]


def test_what_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, ["a.py"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe is neither a file nor a folder"):
        context(tmp_path)
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tmp_path / "s"))
        with pytest.raises(UserError, match="s is neither a file nor a folder"):
            context(tmp_path)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("")
    with pytest.raises(UserError, match="not UTF-8"):
        context(tmp_path)


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    write(tmp_path, {"a\x1b[2J\n.py": SECRET})
    with pytest.raises(Refused, match=r"\n  a\\x1b\[2J\\n\.py:1: a GitLab token") as caught:
        context(tmp_path)
    assert "\x1b" not in caught.value.message


def test_setuid_is_dropped_and_said(tmp_path: Path) -> None:
    write(tmp_path, ["tool", "a.py"])
    (tmp_path / "tool").chmod(0o755 | stat.S_ISUID)
    found = context(tmp_path)
    assert found.notes == ("tool: the setuid or setgid bit is dropped",)
    assert [(one.name, one.executable) for one in found.files] == [("a.py", False), ("tool", True)]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    status = write(tmp_path, ["a.py"]).stat()
    files = [SnapshotFile("a.py", tmp_path / "a.py"), SnapshotFile("gone.py", tmp_path / "gone.py")]
    with pytest.raises(UserError, match=r"a file of the folder cannot be read:\n  gone.py: No such file"):
        scan(files, {one.name: status for one in files}, None)


def test_what_is_clean_is_read_once(tmp_path: Path) -> None:
    app = write(tmp_path / "app", {"a.py": "x = 1", "b.py": "y = 2", ".netrc": "machine a login b"})
    memory = tmp_path / "memory"
    first = context(app, scanned=memory)
    (remembered,) = memory.glob("*.json")
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
    was = remembered.stat()
    assert context(app, scanned=memory) == first
    assert remembered.stat().st_ino == was.st_ino  # nothing new, nothing written
    status = (app / "a.py").stat()
    (app / "a.py").write_text(SECRET)
    os.utime(app / "a.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(Refused, match=r"a\.py:1"):
            context(app, scanned=memory)
    (app / "a.py").rename(app / "z.py")
    with pytest.raises(Refused, match=r"z\.py:1"):
        context(app, scanned=memory)
    remembered.write_text("{")
    with pytest.raises(Refused, match=r"z\.py:1"):
        context(app, scanned=memory)


def test_a_memory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    app = write(tmp_path / "app", ["a.py"])
    assert names(context(app, scanned=app / "a.py")) == ["a.py"]


def test_ends_of_large_files_are_searched(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    for place in (100, 3_000_000 - 100):
        content = bytearray(3_000_000)
        content[place : place + len(SECRET)] = SECRET.encode()
        path.write_bytes(content)
        with pytest.raises(Refused, match=r"  weights\.bin: a GitLab token"):
            context(tmp_path)
    text = b"a line of text\n" * 100_000
    path.write_bytes(text + SECRET.encode() + b"\n" + text)
    with pytest.raises(Refused, match=r"  weights\.bin:100001: a GitLab token"):
        context(tmp_path)


def test_entries_are_sorted_and_folders_come_first(tmp_path: Path) -> None:
    write(tmp_path, ["b.py", "a/x/y.py", "a.py", "run.sh"])
    (tmp_path / "run.sh").chmod(0o744)
    found = list(entries(context(tmp_path), at="/srv/app"))
    assert [(one.name, one.kind) for one in found] == [
        ("srv", "folder"),
        ("srv/app", "folder"),
        ("srv/app/a", "folder"),
        ("srv/app/a.py", "file"),
        ("srv/app/a/x", "folder"),
        ("srv/app/a/x/y.py", "file"),
        ("srv/app/b.py", "file"),
        ("srv/app/run.sh", "file"),
    ]
    assert [one.name for one in found if one.executable] == ["srv/app/run.sh"]
    assert found[3].content == tmp_path / "a.py"
