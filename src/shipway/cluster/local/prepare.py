"""Bring to this disk what a workload needs. Blocking: run it in a thread."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipway.bundle import Workload
from shipway.cluster.local.folder import Folder, copy_writable
from shipway.cluster.local.interpreter import Environments, Interpreter
from shipway.errors import Corrupt, NotFound, ShipwayError
from shipway.ports import Artifacts

_PYTHON = ("python", "python3")


class PreparingFailed(Exception):
    """Why a workload cannot run here; becomes ``reason``, ``message`` and ``tail`` of its observation."""

    def __init__(self, reason: str, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.tail = tail


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where everything lies."""

    argv: tuple[str, ...]
    interpreter: Interpreter | None = None
    model: Path | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)  # variable to the file with its value
    afterwards: tuple[str, ...] = ()


def find_interpreter(workload: Workload, environments: Environments) -> Interpreter | None:
    """The interpreter of the workload's environment, built when needed; may take minutes, touches no folder."""
    if workload.environment is None:
        return None
    try:
        return environments.existing(workload.environment) or environments.build(workload.environment)
    except ShipwayError as error:
        lines = str(error).splitlines()
        raise PreparingFailed("EnvironmentFailed", lines[0] if lines else error.code, "\n".join(lines[-40:])) from error


def prepare_files(
    workload: Workload,
    folder: Folder,
    interpreter: Interpreter | None,
    artifacts: Artifacts,
    secrets: Path,
    path: str,
) -> Prepared:
    """Materialise source, inputs and model, and find the command. ``path`` is the inherited PATH."""
    try:
        if not folder.work.exists():
            if workload.source is None:
                folder.work.mkdir(mode=0o700)
            else:
                copy_writable(artifacts.materialise(workload.source), folder.work)
        if workload.mode == "job":
            folder.output.mkdir(mode=0o700, exist_ok=True)
        model = artifacts.materialise(workload.model) if workload.model else None
        inputs = {name: _input(artifacts, reference) for name, reference in workload.inputs.items()}
    except NotFound as error:
        raise PreparingFailed("ArtifactNotFound", str(error)) from error
    except Corrupt as error:
        raise PreparingFailed("ArtifactCorrupt", str(error)) from error
    except (ShipwayError, OSError) as error:
        raise PreparingFailed("PreparingFailed", str(error)) from error
    return Prepared(
        argv=_resolved(workload.command, folder.work, interpreter, path),
        interpreter=interpreter,
        model=model,
        inputs=inputs,
        secrets={name: find_secret(secrets, *pair) for name, pair in workload.secret_env.items()},
        afterwards=_resolved(workload.afterwards, folder.work, interpreter, path) if workload.afterwards else (),
    )


def find_secret(secrets: Path, secret: str, key: str) -> Path:
    """The file with one value of a secret: ``<secrets>/<secret>/<key>``."""
    file = secrets / secret / key
    if Path(secret).name != secret or Path(key).name != key or not file.is_file():
        known = sorted(one.name for one in (secrets / secret).glob("*")) if (secrets / secret).is_dir() else []
        there = f"it has {', '.join(known)}" if known else "there is no such secret"
        raise PreparingFailed("SecretNotFound", f"secret {secret!r} has no key {key!r}: {there}")
    return file


def _resolved(command: tuple[str, ...], work: Path, interpreter: Interpreter | None, path: str) -> tuple[str, ...]:
    return (find_command(command, work, interpreter, path), *command[1:])


def find_command(command: tuple[str, ...], work: Path, interpreter: Interpreter | None, path: str) -> str:
    """The program of a command: the interpreter for ``python``, else found in its bin, then in PATH.

    A word with a slash is taken from the working folder. One with ``$(`` is left to the start.
    """
    if not command:
        raise PreparingFailed(
            "CommandNotFound",
            "the command is empty: what an image starts by itself runs on a cluster only, for this machine runs "
            "processes and no images; give the command, and the folder with its code",
        )
    word = command[0]
    if word in _PYTHON:
        return str(interpreter.python) if interpreter else sys.executable
    if "$(" in word:
        return word
    if "/" in word:
        if not os.access(work / word, os.X_OK) or (work / word).is_dir():
            exists = (work / word).exists()
            problem = "is not an executable file" if exists else "does not exist"
            raise PreparingFailed("CommandNotFound", f"command {word!r} {problem}{_near(word, _files(work))}")
        return word
    places = os.pathsep.join([*([str(interpreter.python.parent)] if interpreter else []), path])
    found = shutil.which(word, path=places)
    if found is None:
        names = {name for place in places.split(os.pathsep) if place for name in _files(Path(place))}
        here = {f"./{name}" for name in _files(work)}
        raise PreparingFailed("CommandNotFound", f"command {word!r} is not on the PATH{_near(word, names | here)}")
    return found


def _files(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_file() and os.access(entry.path, os.X_OK)}
    except OSError:
        return set()


def _near(word: str, names: set[str]) -> str:
    near = difflib.get_close_matches(word, sorted(names), n=3, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _input(artifacts: Artifacts, reference: str) -> Path:
    digest, _, file = reference.partition("/")
    return artifacts.materialise(digest) / file
