"""A RUN: its commands, and what they ask of pip. Pure: what is not pip or uv is refused, never run.

Source: POSIX shell, 2.3 "Token Recognition", as far as lines of Dockerfiles use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from shipway.image.dockerfile.pip import Asked, NotPackages, of_variables, pip, uv, venv
from shipway.image.dockerfile.value import Instruction
from shipway.image.dockerfile.words import expand

_TOKEN = re.compile(r"""(?:[^\s;&|<>()'"`\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+|&&|\|\||[;&|<>()'"`\\]""", re.DOTALL)
_OPERATORS = frozenset({"||", "&", "|", "<", ">", "(", ")", "`", "'", '"', "\\"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_OF_TOOLS = ("PIP_", "UV_", "PYTHON", "DEBIAN_FRONTEND=")  # PATH=... would decide which pip runs
_PIP = re.compile(r"pip(3(\.\d+)?)?")
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_CACHE = re.compile(r"(~|/root|\$HOME)/\.cache(/.*)?")

_ADVICE: Mapping[str, str] = {
    "addgroup adduser groupadd useradd usermod": "Name a number instead, which needs no entry: USER 10001.",
    "chmod": "COPY --chmod=755 does it.",
    "chown": "COPY --chown=10001:10001 does it.",
    "mkdir": "WORKDIR makes its folder, COPY that of its destination.",
    "apt apt-get apk dnf yum": "Wheels need no compiler: try without. What is needed all the same: into a base.",
    "poetry": "Run `poetry export -o requirements.txt` beside the Dockerfile, COPY that and RUN pip install -r it.",
    "pipenv": "Run `pipenv requirements > requirements.txt` beside the Dockerfile, COPY that, RUN pip install -r it.",
    "conda mamba micromamba": "Take a python:3.12-slim base and RUN pip install.",
    "curl wget": "Fetch it beside the Dockerfile, and COPY it.",
}


def asks(run: Instruction, variables: Mapping[str, str]) -> Asked:
    """What a RUN asks for. Raises NotPackages for anything but pip and uv installing, and what changes nothing."""
    if run.heredoc:
        raise NotPackages("a here-document is not read", "Write the commands with && in one line.")
    for kind, mounted in mounts(run):
        if kind not in ("bind", "cache", "secret", "tmpfs") or (kind == "bind" and "from" in mounted):
            raise NotPackages(f"--mount=type={kind}{' from another stage' if kind == 'bind' else ''} is not done here")
    asked = Asked()
    try:
        for words in [run.words] if run.words is not None else list(_commands(run.text, variables)):
            asked += _asks(list(words))
        # Before those of the command, which win over them.
        return of_variables(variables) + asked if asked.requirements or asked.files else asked
    except NotPackages:
        raise
    except ValueError as error:
        raise NotPackages(str(error)) from error


def mounts(run: Instruction) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The ``--mount`` of a RUN: their type and their settings."""
    for name, value in run.flags:
        if name == "mount":
            settings = dict(one.partition("=")[::2] for one in value.split(","))
            yield settings.get("type", "bind"), settings


def _commands(text: str, variables: Mapping[str, str]) -> Iterator[list[str]]:
    command: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        word, glued = token[0], token.start() == end
        end = token.end()
        if word in ("&&", ";"):
            yield command
            command = []
        elif word in _OPERATORS or "$(" in word or "`" in word:
            if word == ">" and glued:
                raise NotPackages(
                    "the shell takes '>' as a file to write to, also in flask>=3", "Quote the requirement: 'flask>=3'."
                )
            raise NotPackages(f"{word!r} needs a shell, and none runs here")
        elif word.startswith("#"):
            break
        else:
            expanded = expand(word, variables)
            # The shell splits what a variable gave, unless quotes hold it together.
            command += expanded.split() if "$" in word and word[0] not in "'\"" else [expanded]
    yield command


def _asks(words: list[str]) -> Asked:
    said: dict[str, str] = {}
    while words and _ASSIGNMENT.match(words[0]) and words[0].startswith(_OF_TOOLS):
        name, _, value = words.pop(0).partition("=")
        said[name] = value
    if not words:
        return Asked()
    program, rest = words[0].rpartition("/")[2], words[1:]
    if (does := _doer(program, rest)) is not None:
        return of_variables(said) + does()
    if _changes_nothing(program, rest):
        return Asked()
    advice = next((advice for names, advice in _ADVICE.items() if program in names.split()), "")
    raise NotPackages(f"{program} is not run here: only pip and uv install packages", advice)


def _doer(program: str, rest: Sequence[str]) -> Callable[[], Asked] | None:
    if _PYTHON.fullmatch(program) and rest[:1] == ["-m"] and len(rest) > 1:
        module, rest = rest[1], rest[2:]
        program = {"venv": "virtualenv"}.get(module, module)
    elif _PYTHON.fullmatch(program):
        return None
    if _PIP.fullmatch(program):
        return lambda: pip(rest)
    return {"uv": lambda: uv(rest), "virtualenv": lambda: venv(rest)}.get(program)


def _changes_nothing(program: str, rest: Sequence[str]) -> bool:
    match program:
        case "set":
            return all(one.startswith(("-", "+")) or one == "pipefail" for one in rest)
        case "." | "source":
            return len(rest) == 1 and rest[0].endswith("/bin/activate")
        case "rm":
            return all(one.startswith("-") or _CACHE.fullmatch(one) for one in rest)
        case _:
            return program in (":", "true")
