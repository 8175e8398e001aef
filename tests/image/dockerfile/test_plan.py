from __future__ import annotations

import pytest

from shipway.errors import Refused, UserError
from shipway.image.dockerfile.parse import parse
from shipway.image.dockerfile.plan import Stage, plan, unused
from shipway.image.platform import Platform

AMD64, ARM64 = Platform("amd64"), Platform("arm64")


def stages(text: str, target: str = "", platform: Platform = AMD64, **given: str) -> tuple[Stage, ...]:
    return plan(parse(text, "Dockerfile"), given, target, platform, AMD64)


def test_only_what_the_target_needs_is_built_in_order() -> None:
    text = "FROM a AS one\nFROM b AS two\nRUN make\nFROM one\nCOPY --from=0 /x /x\nCOPY --from=nginx:1 /y /y\n"
    found = stages(text)
    assert [(one.number, one.parent) for one in found] == [(0, "a"), (2, 0)]
    assert found[1].origins == {"0": 0, "nginx:1": "nginx:1"}
    assert [one.number for one in stages(text, "one")] == [0]
    assert [one.number for one in stages(text, "2")] == [0, 2]


def test_arguments_before_from() -> None:
    text = "ARG V=3.11\nARG IMAGE=python:$V-slim\nFROM ${IMAGE}\nARG V\n"
    assert stages(text)[0].parent == "python:3.11-slim"
    assert stages(text, V="3.12")[0].parent == "python:3.12-slim"
    assert stages("FROM --platform=$BUILDPLATFORM a\n", platform=ARM64)[0].platform == AMD64
    assert stages("FROM a\n", platform=ARM64)[0].arguments.common["TARGETARCH"] == "arm64"


def test_arguments_that_nobody_asks_for() -> None:
    text = "ARG A\nFROM a\nARG B=1 C\n"
    assert unused(parse(text, "Dockerfile"), {"A": "", "B": "", "C": "", "D": "", "http_proxy": ""}) == ("D",)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("FROM $NO\n", "", "Dockerfile:1: FROM: \\$NO is empty"),
        ("FROM scratch\n", "", "scratch has no Python"),
        ("FROM a\n", "b", "has no stage 'b'"),
        ("FROM a\nCOPY --from=0 x y\n", "", "there is no earlier stage of that number"),
        ("FROM a\nCOPY --from=$X x y\n", "", "Docker expands no variables there"),
        ("FROM --platform=linux/mips a\n", "", "Dockerfile:1: FROM: 'linux/mips' is not a platform"),
        ("FROM a\nFROM python::3\n", "", "Dockerfile:2: FROM: "),
        ("FROM a\nUSER 1\nCOPY --from=Big/Name x y\n", "", "Dockerfile:3: COPY: "),
    ],
)
def test_what_is_wrong(text: str, target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        stages(text, target)


def test_an_argument_without_a_name() -> None:
    with pytest.raises(UserError, match="Dockerfile:2: ARG: a name is empty"):
        unused(parse("FROM a\nARG =1\n", "Dockerfile"), {})


def test_all_that_cannot_be_done_is_one_error_with_lines_and_what_to_do() -> None:
    text = "FROM a\nRUN apt-get update && \\\n    apt-get install -y gcc\nRUN pip install x\nADD https://x/y /z\n"
    text += "RUN make\n"
    with pytest.raises(Refused) as caught:
        stages(text)
    lines = caught.value.message.splitlines()
    assert [line.partition(": ")[0] for line in lines if line.startswith("Dockerfile")] == [
        "Dockerfile:2",
        "Dockerfile:5",
        "Dockerfile:6",
    ]
    assert "RUN apt-get update &&" in lines[1]
    assert caught.value.next_step.endswith("hand the whole Dockerfile to buildah: --with buildah.")
    assert "line 2: Wheels need no compiler" in caught.value.next_step


@pytest.mark.parametrize(
    "line", ["COPY --parents a b/", "COPY <<EOF /a\nx\nEOF", "ADD git@github.com:a/b /c", 'ADD ["http://a", "b"]']
)
def test_other_things_that_are_not_done(line: str) -> None:
    with pytest.raises(Refused, match="Dockerfile:2"):
        stages(f"FROM a\n{line}\n")


def test_passwords_in_a_refused_line_are_not_told() -> None:
    with pytest.raises(Refused) as caught:
        stages("FROM a\nRUN curl https://me:secret@host/x\n")
    assert "secret" not in str(caught.value)
