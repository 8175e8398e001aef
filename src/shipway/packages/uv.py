"""uv as a program: how it is started, and what it says when it fails, in words for users."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shipway.errors import DependencyFailed

_TAIL_LINES = 20
_NOT_FOUND = re.compile(r"(?:Because|and) (\S+) was not found in|there (?:is|are) no versions? of ([^\s,]+)")


def flat(output: str) -> str:
    """uv's words as one line: it draws its explanation as a tree, and breaks its lines."""
    return " ".join(re.sub(r"[│├╰─▶\u00d7]", " ", output).split())


def not_found(output: str) -> str:
    """The requirement that no index has; empty when that was not it."""
    found = _NOT_FOUND.search(flat(output))
    return (found[1] or found[2]).rstrip(".") if found else ""


def uv_failure(output: str, status: int) -> DependencyFailed:
    """The error for a uv that ended badly; names the requirement that cannot be found, when that was it.

    ``output`` must be free of secrets; its last lines go into the message.
    """
    tail = "\n".join(output.strip().splitlines()[-_TAIL_LINES:])
    if what := not_found(output):
        return DependencyFailed(
            f"requirement {what} cannot be found\n{tail}",
            next_step="check its name and version; where packages come from: pip config list",
        )
    return DependencyFailed(
        f"uv could not install the requirements (exit code {status})\n{tail}",
        next_step="check the requirements, the network and pip's configuration (pip config list)",
    )


def start_uv(
    program: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    cwd: Path,
    *,
    pass_fds: Sequence[int] = (),
    own_session: bool = False,
) -> subprocess.Popen[str]:
    """uv at work, its output and its words piped. Raises DependencyFailed when it cannot be started.

    Without a session of its own it ends with us when a user presses Ctrl-C.
    """
    try:
        return subprocess.Popen(
            [str(program), *arguments],
            env=dict(environ),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=pass_fds,
            start_new_session=own_session,
        )
    except OSError as error:
        raise DependencyFailed(
            f"uv cannot be started: {error}",
            next_step="install Shipway again: pip install --force-reinstall shipway",
        ) from error
