"""Key files and their passwords, as the commands that sign and verify read them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from shipway.errors import EnvironmentFault, UserError
from shipway.signing import PrivateKey, PublicKey, is_encrypted

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LARGEST = 64 * 1024  # bytes


def password_file(command: _Command) -> _Command:
    """``--password-file``: never the password itself, for arguments can be read by every user of the machine."""
    return click.option(
        "--password-file",
        "password_from",
        metavar="FILE",
        help="Where the key's password stands: a file, /dev/fd/N, or - for stdin.",
    )(command)


def public_key(path: str) -> PublicKey:
    """The public key in a file. Raises EnvironmentFault, UserError."""
    return PublicKey.from_pem(_read(path)[0])


def private_key(path: str, password_from: str | None) -> PrivateKey:
    """The private key in a file; its password is asked for where it has one and a person sits there.

    Raises EnvironmentFault, and UserError: no key, a wrong password, or a key that others can read as it is.
    """
    data, mode = _read(path)
    encrypted = is_encrypted(data)
    if mode & 0o077 and b"PRIVATE KEY-----" in data and not encrypted:
        raise UserError(
            f"others may read the private key {path} (mode {mode:04o}, allowed is 0600)", next_step=f"chmod 600 {path}"
        )
    password = None
    if password_from is not None:
        password = _password(password_from)
    elif encrypted and sys.stdin.isatty():
        password = str(click.prompt(f"password of {path}", hide_input=True, err=True)).encode()
    elif encrypted:
        raise UserError(f"the private key {path} has a password", next_step="Give it with --password-file FILE.")
    return PrivateKey.from_pem(data, password)


def chosen_password(path: Path, password_from: str | None) -> bytes | None:
    """The password of a new key: from the file, asked for on a terminal, else none."""
    if password_from is not None:
        return _password(password_from)
    if not sys.stdin.isatty():
        return None
    asked = f"password for {path} (empty for none)"
    return (
        str(
            click.prompt(asked, default="", show_default=False, hide_input=True, confirmation_prompt=True, err=True)
        ).encode()
        or None
    )


def _password(place: str) -> bytes:
    password = sys.stdin.buffer.readline(_LARGEST) if place == "-" else _read(place)[0]
    password = password.removesuffix(b"\n").removesuffix(b"\r")
    if not password:
        raise UserError(f"no password: {'stdin' if place == '-' else place} is empty")
    return password


def _read(path: str) -> tuple[bytes, int]:
    """The file's bytes and mode."""
    try:
        with Path(path).open("rb") as file:
            return _whole(file, path), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        raise EnvironmentFault(f"cannot read {path}: {error.strerror}") from error


def _whole(file: BinaryIO, path: str) -> bytes:
    data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise UserError(f"{path} holds no key: it has more than {_LARGEST} bytes")
    return data
