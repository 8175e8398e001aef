"""The pages' examples, run for real: what a page shows is typed as it stands, and must print what the page shows.

A block whose first line is ``# NAME.py`` (or another file name) is that file of the page's folder, which starts as a
copy of ``examples``. A line ``$ COMMAND`` of a ``console`` block is run there; the lines below it are its output:
``...`` alone stands for any lines, within a line for any text; without lines the output may be anything. Every command
must end with 0.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.home import EXAMPLES, SHIPWAY, Home, fresh_home

DOCS = Path(__file__).parents[2] / "docs"
NEEDS_MMDEBSTRAP = pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed")
# The first page is the plain tier's; a page that makes a home costs many seconds.
PAGES = (
    "getting-started",
    *(
        pytest.param(one, marks=pytest.mark.thorough)
        for one in (
            "jobs",
            "models",
            "optimize",
            "services",
            "serving",
            "cli",
            "recovery",
            "signing",
            "encryption",
            "contract",
            "doctor",
            "retention",
            "gc",
            "explain",
            "faults",
            "testing",
            "registries",
            "data",
            "kubernetes",
            "import",
            "gitops",
        )
    ),
    pytest.param("images", marks=[pytest.mark.thorough, pytest.mark.realtool, NEEDS_MMDEBSTRAP]),
    pytest.param("images-dockerfile", marks=[pytest.mark.thorough, pytest.mark.realtool, NEEDS_MMDEBSTRAP]),
    pytest.param("images-inspect", marks=[pytest.mark.thorough, pytest.mark.realtool, NEEDS_MMDEBSTRAP]),
    pytest.param("observe", marks=[pytest.mark.thorough, pytest.mark.extras]),  # reads Parquet
)

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# ((?:[\w-]+/)*[\w.-]*\.\w+)\n")


@dataclass(frozen=True, slots=True)
class File:
    """A file that the page shows."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A line that the page types, and what it prints."""

    line: str
    output: str


def steps(page: str) -> Iterator[File | Command]:
    """What a page does, in its order."""
    for language, text in FENCE.findall(page):
        if language == "console":
            yield from commands(text)
        elif named := FILE_NAME.match(text):
            yield File(named[1], text)


def commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def pattern(output: str) -> re.Pattern[str]:
    """A regular expression for an output as the page shows it."""
    lines = output.rstrip().splitlines()
    expressions = [r"(?:.*\n)*?" if one == "..." else re.escape(one).replace(r"\.\.\.", ".*?") + r"\n" for one in lines]
    return re.compile("".join(expressions))


@pytest.fixture
def folder(home: Home) -> Path:
    """Where the page's commands run."""
    shutil.copytree(EXAMPLES, home.projects / "examples")
    return home.projects


@pytest.fixture
def home() -> Iterator[Home]:
    with fresh_home() as made:
        yield made


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_types_prints_what_it_shows(page: str, home: Home, folder: Path) -> None:
    did = list(steps((DOCS / f"{page}.md").read_text()))
    assert any(isinstance(one, Command) for one in did), "the page runs nothing"
    for step in did:
        match step:
            case File(name, text):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            case Command(line, _) if line.startswith("cd "):
                folder = (folder / line.removeprefix("cd ")).resolve()
            case Command(line, output):
                printed = run(line, home, folder)
                shown = f"$ {line}\n{printed}"
                ended = printed if printed.endswith("\n") else f"{printed}\n"  # curl ends no line
                assert not output or pattern(output).fullmatch(ended), f"{shown}\nthe page shows:\n{output}"


def run(line: str, home: Home, folder: Path) -> str:
    """What a shell prints, errors included. Fails when the command does."""
    variables = home.variables()
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**variables, "PATH": f"{SHIPWAY.parent}:{variables['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,  # a base of Debian is made
        check=False,
    )
    assert done.returncode == 0, f"$ {line}\n{done.stdout}\nexit code {done.returncode}"
    return done.stdout


def test_steps_are_files_and_commands_in_their_order() -> None:
    page = """
```python
# a/train.py
print(1)
```
```console
$ shipway up a
train ... done
...
$ ls
```
```text
$ not run
```
"""
    assert list(steps(page)) == [
        File("a/train.py", "# a/train.py\nprint(1)\n"),
        Command("shipway up a", "train ... done\n...\n"),
        Command("ls", ""),
    ]


def test_dots_stand_for_what_differs() -> None:
    shown = pattern("train ...: done in ... s\n...\nlast\n")
    assert shown.fullmatch("train x: done in 0.1 s\na\nb\nlast\n")
    assert shown.fullmatch("train x: done in 0.1 s\nlast\n")
    assert not shown.fullmatch("train x: done in 0.1 s\nlast\nmore\n")
