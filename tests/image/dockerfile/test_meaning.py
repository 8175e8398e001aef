"""ENV, ARG, LABEL, USER, WORKDIR, CMD and the like: what Docker makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipway.errors import UserError
from shipway.image.dockerfile.meaning import Copy, World, meaning, of_base
from shipway.image.dockerfile.parse import parse
from shipway.image.dockerfile.plan import plan
from shipway.image.platform import Platform

AMD64 = Platform("amd64")
BASE = {"config": {"Env": ["PATH=/usr/bin", "LANG=C"], "WorkingDir": "/srv", "Cmd": ["python3"]}}


def read(text: str, base: dict[str, object] | None = None, **given: str) -> World:
    world = of_base(BASE if base is None else base)
    worlds: dict[int, World] = {}
    for stage in plan(parse(f"ARG COMMON=common\nFROM a AS first\n{text}\n", "Dockerfile"), given, "", AMD64, AMD64):
        below = worlds[stage.parent] if isinstance(stage.parent, int) else world
        worlds[stage.number] = meaning(stage, below)
    return worlds[max(worlds)]


def test_env_expands_the_base_s_variables_and_sees_only_lines_before() -> None:
    env = read("ENV PATH=/app/bin:$PATH A=1 B=$A\nENV A=2 C=$A\nENV D=${A}x E='$A'\nENV OLD the rest").runs.env
    assert env == {"PATH": "/app/bin:/usr/bin", "A": "2", "B": "", "C": "1", "D": "2x", "E": "$A", "OLD": "the rest"}


def test_arg_default_build_arg_and_env_wins() -> None:
    text = "ARG A=1\nARG B\nARG COMMON\nARG TARGETARCH\nARG E=x\nENV E=y\nLABEL a=$A b=$B c=$COMMON t=$TARGETARCH e=$E"
    assert read(text).runs.labels == {"a": "1", "b": "", "c": "common", "t": "amd64", "e": "y"}
    assert read(text, A="9", E="z").runs.labels["a"] == "9"
    assert read(text, A="9", E="z").runs.labels["e"] == "y"
    assert read("LABEL c=$COMMON").runs.labels == {"c": ""}  # without ARG it is not known in a stage


def test_arguments_reach_the_stages_on_top() -> None:
    world = read("ARG A=1\nENV B=2\nFROM first\nLABEL x=$A$B")
    assert (world.runs.labels, world.runs.env) == ({"x": "12"}, {"B": "2"})


def test_workdir_is_relative_to_the_one_before() -> None:
    assert read("WORKDIR a\nWORKDIR ../b/").workdir == "/srv/b"
    assert read("ENV D=/x\nWORKDIR $D/y").runs.workdir == "/x/y"
    assert read("USER 1").runs.workdir == ""


@pytest.mark.parametrize(
    ("text", "entrypoint", "cmd"),
    [
        ("CMD python app.py", None, ("/bin/sh", "-c", "python app.py")),
        ('CMD ["python", "$X"]', None, ("python", "$X")),
        ('ENTRYPOINT ["a"]', ("a",), None),
        ('CMD ["b"]\nENTRYPOINT ["a"]', ("a",), ("b",)),
        ('ENTRYPOINT ["a"]\nCMD ["b"]', ("a",), ("b",)),
        ('CMD ["b"]\nFROM first\nENTRYPOINT ["a"]', ("a",), None),
        ('ENTRYPOINT ["a"]\nFROM first\nCMD ["b"]', ("a",), ("b",)),
        ('SHELL ["/bin/bash", "-lc"]\nCMD x', None, ("/bin/bash", "-lc", "x")),
        ('SHELL ["/bin/bash", "-lc"]\nFROM first\nCMD x', None, ("/bin/bash", "-lc", "x")),
        ("ENTRYPOINT []", (), None),
    ],
)
def test_commands(text: str, entrypoint: tuple[str, ...] | None, cmd: tuple[str, ...] | None) -> None:
    runs = read(text).runs
    assert (runs.entrypoint, runs.cmd) == (entrypoint, cmd)


def test_a_command_that_only_looks_like_json_is_told() -> None:
    world = read("CMD ['python', 'app.py']")
    assert world.runs.cmd == ("/bin/sh", "-c", "['python', 'app.py']")
    assert "double quotes" in world.notes[0]


def test_ports_volumes_user_signal_and_labels() -> None:
    runs = read(
        'ENV P="80 81/udp"\nEXPOSE $P 9000-9002/TCP\nVOLUME /data $P\nVOLUME ["/a b"]\nUSER 1:2\nSTOPSIGNAL SIGINT\n'
        "MAINTAINER me@x.org"
    ).runs
    assert runs.ports == ("80/tcp", "81/udp", "9000/tcp", "9001/tcp", "9002/tcp")
    assert (runs.volumes, runs.user, runs.stop_signal) == (("/data", "80 81/udp", "/a b"), "1:2", "SIGINT")
    assert runs.labels == {"org.opencontainers.image.authors": "me@x.org"}


def test_what_oci_does_not_have_is_passed_over_with_a_note() -> None:
    world = read("HEALTHCHECK --interval=5s CMD curl localhost\nONBUILD COPY . .\nHEALTHCHECK NONE")
    assert [note.split(": ")[1] for note in world.notes] == ["HEALTHCHECK", "ONBUILD", "HEALTHCHECK"]
    assert "ONBUILD" in of_base({"config": {"OnBuild": ["COPY . ."]}}).notes[0]


def test_packages_come_first_on_the_path_from_where_they_stand() -> None:
    env = read("RUN pip install flask\nENV PATH=/x:$PATH").runs.env
    assert (env["PATH"], env["VIRTUAL_ENV"]) == ("/x:/opt/venv/bin:/usr/bin", "/opt/venv")


def test_where_arg_and_env_say_that_pip_looks() -> None:
    text = "ARG PIP_INDEX_URL\nENV UV_EXTRA_INDEX_URL=https://b/simple\nRUN pip install x"
    (step,) = read(text, PIP_INDEX_URL="https://a/simple").steps
    assert getattr(step, "asked").options == (  # noqa: B009 - one kind of step
        "--index-url https://a/simple",
        "--extra-index-url https://b/simple",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY a b", Copy(None, None, ("a",), "/srv/b")),  # type: ignore[arg-type]
        ("COPY a .", Copy(None, None, ("a",), "/srv/")),  # type: ignore[arg-type]
        ("COPY a ./b/", Copy(None, None, ("a",), "/srv/b/")),  # type: ignore[arg-type]
        ("COPY a $D$LANG /x/", Copy(None, None, ("a", "C"), "/x/")),  # type: ignore[arg-type]
        ("COPY --chown=$LANG:0 --chmod=0755 a /", Copy(None, None, ("a",), "/", "C:0", 0o755)),  # type: ignore[arg-type]
    ],
)
def test_copy(line: str, expected: Copy) -> None:
    (step,) = read(line).steps
    assert isinstance(step, Copy)
    assert replace(step, at=expected.at) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY a", "needs a source and a destination"),
        ("COPY a b c", "several sources need a folder"),
        ("COPY --chmod=u+x a b", "--chmod=u\\+x is not understood"),
        ("EXPOSE 99999", "is no port"),
        ("EXPOSE 80:80", "is no port"),
        ("ENV A", "A has no value"),
        ("ENV A=${B", "'}' is missing|not understood"),
        ("SHELL bash", "needs the JSON form"),
        ("USER $NOBODY", "is empty"),
        ("LABEL a='", "single quote"),
        ("ENV PIP_INDEX_URL=https://u:p@h/s\nRUN pip install x", "has a user or a password"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(line)
    assert caught.value.message.startswith("Dockerfile:")
