from __future__ import annotations

import pytest

from shipway.errors import UserError
from shipway.image.dockerfile.parse import LARGEST, parse
from shipway.image.dockerfile.value import Instruction


def read(text: str) -> tuple[Instruction, ...]:
    return parse(text, "Dockerfile").sections[0].instructions


def test_lines_are_joined_comments_go_and_the_first_line_counts() -> None:
    text = "# note\n\nFROM python\n  # more\nrun pip install \\\n  # between\n\n    flask \\  \n  gunicorn\nCMD app\n"
    run, cmd = read(text)
    assert (run.keyword, run.line, run.text.split()) == ("RUN", 5, ["pip", "install", "flask", "gunicorn"])
    assert (cmd.line, cmd.text, cmd.words) == (10, "app", None)


def test_an_escaped_escape_ends_its_line_and_windows_lines_are_lines() -> None:
    assert [one.text for one in read("FROM x\r\nENV A=b\\\\\r\nUSER 1\r\n")] == ["A=b\\\\", "1"]


def test_a_number_sign_inside_is_no_comment() -> None:
    assert read("FROM x\nENV A=a#b\n")[0].text == "A=a#b"


def test_directives_stand_at_the_top_only() -> None:
    ticked = parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM x\nENV A=1 `\n  B=c:\\\n", "Dockerfile")
    assert (ticked.escape, ticked.sections[0].instructions[0].text.split()) == ("`", ["A=1", "B=c:\\"])
    assert parse("\n# escape=`\nFROM x\n", "Dockerfile").escape == "\\"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('CMD ["python", "app.py"]', ("python", "app.py")),
        ("CMD []", ()),
        ("CMD ['python', 'app.py']", None),
        ("CMD [ -f x ] && y", None),
        ('COPY ["a b", "c/"]', ("a b", "c/")),
    ],
)
def test_the_json_form_and_what_only_looks_like_it(line: str, words: tuple[str, ...] | None) -> None:
    assert read(f"FROM x\n{line}\n")[0].words == words


def test_flags_are_read_and_unknown_ones_refused() -> None:
    copy = read("FROM x\nCOPY --chown=1:2 --from=a --link b c\n")[0]
    assert (copy.flags, copy.text) == ((("chown", "1:2"), ("from", "a"), ("link", "")), "b c")
    with pytest.raises(UserError, match=r"Dockerfile:2: COPY: --form is not known here"):
        read("FROM x\nCOPY --form=a b c\n")


def test_a_here_document_is_seen_and_its_lines_are_no_instructions() -> None:
    run, cmd = read("FROM x\nRUN <<EOF\nUSER me\nfrom nowhere\nEOF\nCMD a\n")
    assert (run.heredoc, cmd.keyword, cmd.line) == (True, "CMD", 6)
    (copy,) = read("FROM x\nCOPY <<-'END' /a\n\t1\n\tEND\n")
    assert copy.heredoc


def test_stages() -> None:
    found = parse("ARG V=3\nFROM --platform=linux/arm64 python:$V AS Build\nUSER 1\nFROM build\n", "Dockerfile")
    first, second = found.sections
    assert (first.image, first.name, first.platform, len(first.instructions)) == (
        "python:$V",
        "build",
        "linux/arm64",
        1,
    )
    assert (second.image, second.name, found.arguments[0].text) == ("build", "", "V=3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Dockerfile has no FROM"),
        ("RUN a\nFROM x\n", "Dockerfile:1: RUN: stands before the first FROM"),
        ("FROM a b\n", "Dockerfile:1: FROM: 'a b' is not understood"),
        ("FROM a AS 1b\n", "'1b' is no name of a stage"),
        ("FROM x\nWORKDRI /app\n", "Dockerfile:2: 'WORKDRI' is no instruction"),
        ("FROM x\n\nCOPY\n", "Dockerfile:3: COPY: says nothing"),
        ("FROM x\nCMD [1]\n", "the JSON form is a list of texts"),
        ("# escape=x\nFROM a\n", "allowed are"),
        ("#" * (LARGEST + 1), "has more than"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text, "Dockerfile")


def test_the_nearest_instruction_is_named() -> None:
    with pytest.raises(UserError) as caught:
        parse("FROM x\nWORKDRI /app\n", "Dockerfile")
    assert caught.value.next_step == "Did you mean WORKDIR?"
