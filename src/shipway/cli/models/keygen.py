"""``shipway models keygen``: a key pair to sign versions with. Nothing of it is sent anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import click

from shipway.cli.models.keys import chosen_password, password_file
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.errors import EnvironmentFault, Refused
from shipway.signing import PrivateKey


@click.command()
@click.option("--out", "prefix", default="shipway", show_default=True, help="The files are PREFIX.key and PREFIX.pub.")
@password_file
@act_output
def keygen(prefix: str, password_from: str | None, output: str) -> None:
    """Make a key pair: PREFIX.key signs (keep it secret), PREFIX.pub verifies (give it away).

    On a terminal a password for the private key is asked for. Files that exist are never replaced.
    """
    private, public = Path(f"{prefix}.key"), Path(f"{prefix}.pub")
    for path in (private, public):
        if path.exists():
            raise Refused(f"{path} exists already", next_step="Choose another name: a key is never overwritten.")
    key = PrivateKey.generate()
    encrypted = chosen_password(private, password_from)
    _write(private, key.to_pem(encrypted), 0o600)
    _write(public, key.public.to_pem(), 0o644)
    document = {"private": str(private), "public": str(public), "key": key.public.hint, "encrypted": bool(encrypted)}
    how = "with a password" if encrypted else "without a password"
    emit(document, output, f"{private} signs ({how}): keep it secret\n{public} verifies: {key.public.hint}")


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", next_step="Choose another place.") from error
