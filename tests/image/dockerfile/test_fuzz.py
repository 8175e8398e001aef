"""Whatever a Dockerfile says, it is read or refused with its line: nothing else comes out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shipway.errors import UserError
from shipway.image.dockerfile.meaning import World, meaning, of_base
from shipway.image.dockerfile.parse import parse
from shipway.image.dockerfile.plan import plan, unused
from shipway.image.platform import Platform

AMD64 = Platform("amd64")
_WORDS = st.sampled_from(
    [
        *(
            "FROM",
            "RUN",
            "COPY",
            "ADD",
            "ENV",
            "ARG",
            "LABEL",
            "CMD",
            "ENTRYPOINT",
            "WORKDIR",
            "USER",
            "EXPOSE",
            "VOLUME",
        ),
        *(
            "SHELL",
            "ONBUILD",
            "HEALTHCHECK",
            "STOPSIGNAL",
            "MAINTAINER",
            "as",
            "a",
            "b=c",
            "/x/",
            "..",
            "*",
            "[",
            "[a-",
        ),
        *("--from=0", "--from=a", "--chown=1:2", "--chmod=755", "--platform=$A", "--mount=type=bind,target=x", "--"),
        *(
            "$A",
            "${A:-",
            "}",
            "${",
            "$",
            "'",
            '"',
            "\\",
            "\\\n",
            "\n",
            "\r\n",
            "#",
            "# escape=`",
            "<<EOF",
            "EOF",
            "`",
            "=",
        ),
        *("pip install", "pip", "-r", "python -m pip install x", "&&", ";", "|", "uv pip install", "-", "--user", "["),
        *('["a"]', '["a", "b"]', "[1]", "[[[[", "8080", "80-90/udp", "99999999999999999999", "\0", "\u2028", "é", "☺"),
    ]
)
_TEXTS = (
    st.lists(_WORDS, max_size=30).map(" ".join) | st.lists(_WORDS, max_size=30).map("\n".join) | st.text(max_size=80)
)


def read(text: str) -> None:
    dockerfile = parse(text, "Dockerfile")
    unused(dockerfile, {"A": "b"})
    worlds: dict[int, World] = {}
    for stage in plan(dockerfile, {"A": "b"}, "", AMD64, AMD64):
        below = worlds[stage.parent] if isinstance(stage.parent, int) else of_base({"config": {"Env": ["A=$A"]}})
        worlds[stage.number] = meaning(stage, below)


_HEADS = st.sampled_from(["", "FROM a\n", "FROM a AS b\nFROM b\n", "ARG A=1\nFROM $A\n"])
_SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@settings(_SETTINGS, max_examples=20)
@given(text=_TEXTS, head=_HEADS)
@example(text="CMD " + "[" * 100_000, head="FROM a\n")
@example(text="ENV A=" + "${A:-" * 5_000, head="FROM a\n")
@example(text="EXPOSE " + "9" * 5_000, head="FROM a\n")
@example(text="COPY --from=" + "9" * 5_000 + " a b", head="FROM a\n")
@example(text="COPY --from=² a b", head="FROM a\n")
@example(text="EXPOSE ²\n", head="FROM a\n")
def test_only_a_user_error_comes_out(text: str, head: str) -> None:
    with suppress(UserError):
        read(head + text)


@pytest.mark.thorough
@settings(_SETTINGS, max_examples=3000)
@given(text=_TEXTS, head=_HEADS)
def test_only_a_user_error_comes_out_of_many(text: str, head: str) -> None:
    with suppress(UserError):
        read(head + text)


@settings(_SETTINGS, max_examples=10)
@given(
    values=st.dictionaries(
        st.from_regex(r"[A-Z]{1,4}", fullmatch=True),
        st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=20),
        min_size=1,
        max_size=4,
    )
)
def test_a_quoted_value_comes_back_as_it_was(values: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\{one}" if one in '"$\\' else one for one in text) + '"'

    line = " ".join(f"{name}={quoted(value)}" for name, value in values.items())
    dockerfile = parse(f"FROM a\nENV {line}\n", "Dockerfile")
    (stage,) = plan(dockerfile, {}, "", AMD64, AMD64)
    assert meaning(stage, of_base({})).runs.env == values
