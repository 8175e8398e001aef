"""The commit of a folder, read without git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shipway.building.git import commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ENV = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture
def git(tmp_path: Path) -> Path:
    folder = tmp_path / ".git"
    folder.mkdir()
    return folder


def test_what_git_itself_says(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@y")
        return subprocess.run(
            ("git", *who, *words), cwd=tmp_path, env=ENV, check=True, capture_output=True, text=True
        ).stdout

    run("init", "-q")
    run("commit", "-q", "--allow-empty", "-m", "first")
    run("remote", "add", "origin", "https://me:password@example.org/team/app.git")
    below = tmp_path / "below"
    below.mkdir()
    head = run("rev-parse", "HEAD").strip()
    assert commit(below) == {"revision": head, "source": "https://example.org/team/app.git"}
    run("pack-refs", "--all")
    assert commit(tmp_path)["revision"] == head


def test_a_folder_without_git(tmp_path: Path) -> None:
    assert commit(tmp_path) == {}


@pytest.mark.parametrize(
    ("head", "revision"),
    [
        (COMMIT, {"revision": COMMIT}),
        ("ref: refs/heads/main", {}),
        ("ref: ../../../etc/passwd", {}),
        ("nonsense", {}),
        ("", {}),
    ],
)
def test_heads(git: Path, head: str, revision: dict[str, str]) -> None:
    (git / "HEAD").write_text(head)
    assert commit(git.parent) == revision


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://token@example.org/a.git?x=secret", {"source": "https://example.org/a.git"}),
        ("git@example.org:a.git", {}),
        ("/home/me/a", {}),
    ],
)
def test_remotes_tell_no_secret(git: Path, url: str, source: dict[str, str]) -> None:
    (git / "config").write_text(f'[remote "origin"]\n\turl = {url}\n')
    assert commit(git.parent) == source


def test_a_config_that_cannot_be_read(git: Path) -> None:
    (git / "config").write_text("= nonsense [")
    assert commit(git.parent) == {}
