"""``shipway import``: hand-written Kubernetes YAML to a shipway.yaml."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

import click

from shipway.cli.starting import ensured
from shipway.errors import Refused, UserError
from shipway.importing import Imported, StoredSecret, convert, read, written

_STDIN = "-"
_LARGEST = 16 << 20  # bytes of a file; what `helm template` writes of the largest charts is a tenth of it


@click.command("import")
@click.option(
    "-f", "--file", "files", multiple=True, required=True, metavar="FILE", help="Kubernetes YAML; - is stdin."
)
@click.option("-o", "--output", "target", metavar="FILE", help="Write it there, and not to stdout.")
@click.option("--secrets", is_flag=True, help="Store the values of the Secrets that are used in the home.")
def import_(files: tuple[str, ...], target: str | None, secrets: bool) -> None:
    """Make a shipway.yaml of Deployments, Pods, Jobs, CronJobs, and of what stands beside them.

    What could not be carried over is listed on stderr, with what to do. Values of Secrets are never written: they
    become references, and the commands that store them are listed.
    """
    path = Path(target) if target else None
    if path is not None and path.exists():
        raise Refused(f"{path} exists and is not overwritten", next_step="Name another file, or remove it first.")
    imported = convert([one for file in files for one in read(_text(file), "stdin" if file == _STDIN else file)])
    if not imported.objects:
        for loss in imported.losses:
            click.echo(f"not carried over: {loss}", err=True)
        raise UserError(
            "none of these objects runs anything",
            next_step="Give the Deployment, Pod or Job that belongs to them: -f FILE.",
        )
    text = written(imported.objects, ", ".join("stdin" if one == _STDIN else Path(one).name for one in files))
    if path is None:
        click.echo(text, nl=False)
    else:
        _write(path, text)
        click.echo(f"written to {path}; next: shipway up {path}", err=True)
    _tell(imported)
    stored = _stored(imported.secrets) if secrets else ()
    for one in imported.secrets:
        if one not in stored:
            click.echo(f"secret: {one.command}", err=True)


def _text(file: str) -> str:
    try:
        if file == _STDIN:
            content = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UserError(
                f"{file} is larger than {_LARGEST >> 20} MiB", next_step="Give the objects in several files."
            )
        return content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _tell(imported: Imported) -> None:
    """What people should know, on stderr: stdout has the YAML and nothing else."""
    for loss in imported.losses:
        click.echo(f"not carried over: {loss}", err=True)
    for sentence in imported.here:
        click.echo(f"note: {sentence}", err=True)


def _stored(secrets: Iterable[StoredSecret]) -> list[StoredSecret]:
    """Store those whose value a file had; which these are."""
    known = [(one, one.value) for one in secrets if one.value is not None]
    if not known:
        raise UserError("--secrets: none of the files has the value of a Secret that is used")
    client = ensured()
    for one, value in known:
        client.upload(f"/v1/secrets/{quote(one.name, safe='')}/{quote(one.key, safe='')}", value, len(value))
        click.echo(f"{one.name}/{one.key} is set", err=True)
    return [one for one, _ in known]
