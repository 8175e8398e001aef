"""Git's and Docker's ignore files, compared with what git says, and with what Docker's own tests expect."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from shipway.errors import UserError
from shipway.image.context import context
from shipway.image.context.ignoring import DockerRules, GitRules


def docker(tmp_path: Path, lines: str) -> DockerRules:
    (tmp_path / ".dockerignore").write_text(lines)
    return DockerRules(tmp_path)


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("*.md", ["README.md"], ["docs/README.md"]),
        ("**/*.md", ["README.md", "docs/README.md", "docs/a/b.md"], ["md"]),
        ("docs", ["docs", "docs/a", "docs/a/b"], ["a/docs", "docs2"]),
        ("/docs", ["docs/a"], ["a/docs"]),
        ("./docs/", ["docs/a"], ["a/docs"]),
        ("docs/../src", ["src/a"], ["docs/a"]),
        ("*/temp*", ["a/temp", "a/temp.txt", "a/temporary/x"], ["temp", "a/b/temp"]),
        ("*/*/temp*", ["a/b/temp.txt"], ["a/temp"]),
        ("temp?", ["tempa", "tempb"], ["temp", "tempab"]),
        ("**", ["a", "a/b"], []),
        ("**/foo", ["foo", "a/foo", "a/b/foo", "a/foo/b"], ["afoo", "a/bfoo"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["z", "b/a/z"]),
        ("dir/**", ["dir/file", "dir/dir/file"], ["dir", "dirt"]),
        ("a[b-d]e", ["abe", "ade"], ["aee", "ae"]),
        ("a[^b-d]e", ["aee"], ["abe"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("a.b$+(c)", ["a.b$+(c)"], ["axb$+(c)"]),
        ("# no\n\n  a  \n", ["a"], ["# no", "no"]),
        ("\ufeffa", ["a"], []),
        ("*\n!src\n!a/b", ["x", "a/c"], ["src", "src/a/b", "a/b", "a/b/c"]),
        ("*.md\n!README*.md\nREADME-secret.md", ["a.md", "README-secret.md"], ["README.md", "README-x.md"]),
        ("*.md\nREADME-secret.md\n!README*.md", ["a.md"], ["README-secret.md"]),
        ("! a", [], ["a"]),
    ],
)
def test_docker(tmp_path: Path, lines: str, ignored: list[str], kept: list[str]) -> None:
    rules = docker(tmp_path, lines)
    assert [name for name in [*ignored, *kept] if rules.why(name, False)] == ignored


def test_docker_says_the_line(tmp_path: Path) -> None:
    assert docker(tmp_path, "*\n!a\na/b").why("a/b", False) == ".dockerignore: a/b"
    with pytest.raises(UserError, match="is not a pattern"):
        docker(tmp_path, "a[")


def test_a_dockerfile_has_its_own_ignore_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c/a", "c/keep/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / ".gitignore").write_text("c\n")
    names = [file.name for file in context(tmp_path, dockerfile="Dockerfile").files]
    assert names == ["a", "b"]  # Docker's file is missing: git's counts
    (tmp_path / ".dockerignore").write_text("a\n")
    (tmp_path / "prod.Dockerfile.dockerignore").write_text("c\n!c/keep\n")
    names = [file.name for file in context(tmp_path, dockerfile="Dockerfile").files]
    assert names == ["b", "c/a", "c/keep/x", "prod.Dockerfile.dockerignore"]
    found = context(tmp_path, dockerfile="prod.Dockerfile")
    assert [file.name for file in found.files] == ["a", "b", "c/keep/x", "prod.Dockerfile.dockerignore"]
    assert found.left_out[-1] == ("c/a", "prod.Dockerfile.dockerignore: c")


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("*.log", ["a.log", "a/b.log"], ["a.logs"]),
        ("a/*.log", ["a/b.log"], ["a.log", "c/a/b.log", "a/c/b.log"]),
        ("/out", ["out"], ["a/out"]),
        ("**/a/b", ["a/b", "c/a/b"], ["c/b"]),
        ("a/**/b", ["a/b", "a/x/y/b"], ["b"]),
        ("a/**", ["a/b", "a/b/c"], ["a"]),
        ("*.key\n!config/", ["config/x.key"], ["config"]),  # "!" brings the folder back, not what is in it
        ("*.log\n!keep.log", ["a.log"], ["keep.log"]),
        ("# no\n\n\\#a\n\\!b\n", ["#a", "!b"], ["# no", "b"]),
        ("a  \nb\\ \r\n", ["a", "b "], ["a  ", "b"]),
        ("[a-c]\n[!x]y\n[[:digit:]]z\n[]]q", ["b", "zy", "7z", "]q"], ["d", "xy", "az"]),
        ("[z-a]\na[\n\\", [], ["a", "a[", "z", "\\"]),
        ("\ufeffa", ["a"], []),
    ],
)
def test_git(tmp_path: Path, lines: str, ignored: list[str], kept: list[str]) -> None:
    (tmp_path / ".gitignore").write_bytes(lines.encode())
    rules = GitRules(tmp_path)
    assert [name for name in [*ignored, *kept] if rules.why(name, False)] == ignored


def test_git_has_no_word_where_there_is_no_line(tmp_path: Path) -> None:
    assert GitRules(tmp_path).why("a/b", False) == ""


def line(chance: random.Random) -> str:
    atoms = [
        "a",
        "b",
        "out",
        "x.py",
        "doc",
        "*",
        "**",
        "?",
        "*.log",
        "[ab]",
        "o*",
        "[!a]",
        r"sp\ ace",
        r"\[z\]",
        "*.p[xy]",
    ]
    body = "/".join(chance.choices(atoms, k=chance.randint(1, 3)))
    return chance.choice(["", "", "!", "/"]) + body + chance.choice(["", "", "/", "/*", "/**", "  "]) + "\n"


@pytest.mark.realtool
@pytest.mark.skipif(shutil.which("git") is None, reason="no git on this machine")
@pytest.mark.parametrize("seed", range(6))
def test_git_says_the_same(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    parts = ["a", "b", "out", "x.py", "y.log", "doc", "sp ace", "[z]"]
    for _ in range(60):
        path = tmp_path / "/".join(chance.choices(parts, k=chance.randint(1, 4)))
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    for place in ("", "a", "b", "doc", "b/out"):
        if (tmp_path / place).is_dir():
            (tmp_path / place / ".gitignore").write_text("".join(line(chance) for _ in range(4)))
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    (tmp_path / ".git/info/exclude").write_text(line(chance))
    said = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-o", "--exclude-standard"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    expected = sorted(name for name in said.stdout.splitlines() if not name.endswith(".gitignore"))
    (tmp_path / "always.txt").touch()
    (tmp_path / ".shipwayignore").write_text("!always.txt\n")
    assert [one.name for one in context(tmp_path).files if one.name != "always.txt"] == expected
