"""The examples of docs/python.md, run for real: its files are written, then its ``>>>`` lines are typed into one
interpreter, and each must show what the page shows (``...`` stands for anything)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.test_pages import DOCS, FENCE, FILE_NAME
from tests.e2e.home import SHIPWAY, fresh_home

PAGE = (DOCS / "python.md").read_text()
PROMPT = ">>> "


def typed(page: str) -> str:
    """All that the page types, as a text for doctest; its blocks are apart, so that a fence is no output."""
    return "\n\n".join(text for language, text in FENCE.findall(page) if language == "python" and PROMPT in text)


def files(page: str) -> dict[str, str]:
    """The files that the page shows, by name."""
    return {named[1]: text for _, text in FENCE.findall(page) if (named := FILE_NAME.match(text))}


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_the_page_shows_what_happens(tmp_path: Path) -> None:
    for name, text in files(PAGE).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "page.txt").write_text(typed(PAGE))
    with fresh_home() as home:
        command = [str(SHIPWAY.parent / "python"), "-m", "doctest", "-o", "ELLIPSIS", "-o", "FAIL_FAST", "page.txt"]
        done = subprocess.run(
            command, cwd=tmp_path, env=home.variables(), capture_output=True, text=True, timeout=150, check=False
        )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_python_block_is_a_file_or_typed() -> None:
    blocks = [text for language, text in FENCE.findall(PAGE) if language == "python"]
    assert [text for text in blocks if not FILE_NAME.match(text) and not text.startswith(PROMPT)] == []
    assert typed(PAGE).count(PROMPT) > 20
