"""The frame around the commands: lazy imports, exit codes, colours, and the documents."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from shipway import errors
from shipway.cli import failure
from shipway.cli.main import COMMANDS, cli
from shipway.cli.options import Invocation
from shipway.cli.tables import span
from shipway.deploy.nouns import NOUNS, noun, target
from shipway.kinds import KINDS
from shipway.transfer import size
from tests.cli.conftest import Shipway

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
HEAVY = {"asyncio", "pydantic", "rich", "starlette", "uvicorn", "yaml"}


def imported(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "from shipway.cli.main import run; run(['--help'])",
        "import shipway.cli.status, shipway.cli.get, shipway.cli.models, shipway.cli.logs, shipway.cli.predict",
    ],
)
def test_reading_commands_import_nothing_heavy(statement: str) -> None:
    modules = imported(statement)
    assert modules & HEAVY == set()
    assert "shipway.kinds" not in modules


def test_every_command_of_the_table_exists_and_is_documented() -> None:
    for name, entry in COMMANDS.items():
        module, _, attribute = entry.place.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        assert command.name == name
        below = command.commands if isinstance(command, click.Group) else {}
        for word in [name, *(f"{name} {one}" for one in below)]:
            assert f"`shipway {word}" in DOCS, word
        for parameter in [one for part in (command, *below.values()) for one in part.params]:
            if isinstance(parameter, click.Option) and parameter.name != "output":
                assert any(option in DOCS for option in parameter.opts), parameter.opts


def test_every_exit_code_is_documented() -> None:
    tree = errors._subclasses(errors.ShipwayError)
    for code in [0, *{cls.exit_code for cls in tree}, failure.INTERRUPTED, failure.PIPE_CLOSED]:
        assert f"\n| {code} |" in DOCS
    for cls in tree:
        assert f"`{cls.__name__}`" in DOCS


def test_every_kind_has_its_words() -> None:
    assert {one.kind: one.plural for one in NOUNS} == {name: cls.plural for name, cls in KINDS.items()}
    for name, cls in KINDS.items():
        words = [name, name.lower(), cls.plural, *([cls.short_name] if cls.short_name else [])]
        assert {noun(word).kind for word in words} == {name}
    assert target("job/digits") == ("modeljobs", "digits")
    assert target("digits") == ("", "digits")


def test_help_lists_every_command(shipway: Shipway) -> None:
    text = shipway("--help").out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert shipway("--version").out.startswith("shipway 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sttus"], "error: there is no command 'sttus'; did you mean 'status'?\nsee shipway --help\n"),
        (["get"], "error: Missing argument 'KIND'.\nsee shipway get --help\n"),
        (["completion", "tcsh"], None),
    ],
)
def test_wrong_words_are_told(shipway: Shipway, words: list[str], message: str | None) -> None:
    ended = shipway(*words)
    assert ended.code == 2
    assert message in (None, ended.err)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.Conflict("x"), 4),
        (errors.PlatformError("x"), 70),
        (RuntimeError("a bug"), 70),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (BrokenPipeError(), 141),
        (SystemExit(1), 141),
        (SystemExit(0), 0),
        (failure.Reported(1), 1),
    ],
)
def test_every_end_has_its_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.end_of(error, Invocation()) == code
    assert "\x1b" not in capsys.readouterr().err


def test_no_color_wins_over_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert failure.colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not failure.colour(Terminal())


def test_completion_knows_the_commands(shipway: Shipway, monkeypatch: pytest.MonkeyPatch) -> None:
    with click.Context(cli) as context:
        assert [one.value for one in cli.shell_complete(context, "s")] == ["status", "services", "secret"]
        assert cli.get_command(click.Context(cli, resilient_parsing=True), "x") is None


@pytest.mark.slow
def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "shipway.cli.main", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_error_never_moves_the_terminals_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    failure.tell("no tag \x1b[2Jv1\r\x85", "There are:\n\ta, b\udc80, grün")
    assert capsys.readouterr().err == "error: no tag \\x1b[2Jv1\\r\\x85\nThere are:\n\ta, b\\udc80, grün\n"


def test_units() -> None:
    assert [span(one) for one in (0.5, 59, 90, 7200, 200_000, -1)] == ["0s", "59s", "1m", "2h", "2d", "0s"]
    assert [size(one) for one in (0, 2048, 1_500_000, 5_000_000_000)] == ["0 B", "2.05 kB", "1.5 MB", "5 GB"]


@pytest.mark.slow
def test_a_home_that_does_not_exist_is_not_called_sound(shipway: Shipway, tmp_path: Path) -> None:
    assert shipway("hub", "repair").out == f"{tmp_path / 'home'} does not exist yet: nothing to repair\n"
    assert not (tmp_path / "home").exists()
