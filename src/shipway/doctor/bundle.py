"""A bug report in one file: what the doctor found, and the ends of all logs, without secrets.

Everything is read from the home's files, so that a dead hub and a damaged store are no obstacle. Stored secrets are
read for one purpose: to search for them.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from shipway import hub_process
from shipway.doctor import databases
from shipway.doctor.facts import Facts
from shipway.doctor.gather import read_objects
from shipway.doctor.redaction import REDACTED, Redactor, is_secret_name, url_passwords
from shipway.doctor.verdict import Line
from shipway.envoy.admin import Admin
from shipway.errors import ShipwayError, UserError
from shipway.packages.pip_reader import PipReader
from shipway.settings import Settings

_LOG_TAIL = 256 * 1024  # bytes of hub.log and envoy.log
_REPLICA_TAIL = 64 * 1024  # bytes of each replica's log
_MOST_WORKLOADS = 100  # the newest
_ENTRIES = 1000  # newest lines of the journal
_LISTED_DEPTH = 3  # deeper folders of the home are one line in the list
_MOST_LISTED = 10_000  # lines


_Objects = Callable[[], list[dict[str, Any]]]  # of the home; raises sqlite3.Error


@dataclass(frozen=True, slots=True)
class Bundle:
    """Where it is, and a line on each file in it."""

    path: Path
    contents: tuple[tuple[str, str], ...]  # name, what it is


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    about: str
    content: Any  # a text, or a JSON value


def write_bundle(
    file: Path, where: Settings, inherited: Mapping[str, str], facts: Facts, lines: Sequence[Line]
) -> Bundle:
    """Write ``file`` (.tar.gz, mode 0600). Raises UserError when it exists or cannot be written, EnvironmentFault when
    the home is another user's."""
    hub_process.check_owner(where)
    objects = cache(partial(read_objects, where))  # once: what is packed is what was searched for secrets
    redactor = Redactor(_known_secrets(where, inherited, objects))
    redacted = [_redacted(one, redactor) for one in _members(where, facts, lines, objects)]
    members = [one for one in redacted if one.content.strip()]  # many logs are empty
    readme = _Member("README.txt", "this list", _readme(members))
    data = _packed([readme, *members])
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as stream:
            stream.write(data)
    except FileExistsError as error:
        raise UserError(f"{file} exists", next_step="Name another file: shipway doctor --bundle FILE") from error
    except OSError as error:
        next_step = "Name a file in a folder that you can write to: shipway doctor --bundle FILE"
        raise UserError(f"cannot write {file}: {error.strerror}", next_step=next_step) from error
    return Bundle(file, tuple((one.name, one.about) for one in (readme, *members)))


def _known_secrets(where: Settings, inherited: Mapping[str, str], objects: _Objects) -> Iterator[str]:
    """Every value that must not leave: as text, because that is what is searched."""
    files = [one for one in where.secrets.rglob("*") if one.is_file()] if where.secrets.is_dir() else []
    for file in (*files, *([where.token] if where.token.is_file() else [])):
        yield file.read_bytes().decode(errors="replace")
    named = (value for name, value in inherited.items() if is_secret_name(name) and len(value) > 7)
    yield from (value for value in named if not Path(value).exists())  # SECRET_FILE=/run/secrets/x is no secret
    yield from url_passwords(value for name, value in inherited.items() if "://" in value)
    try:
        pip = PipReader(inherited).read()
    except ShipwayError:
        pip = None  # what pip cannot read, no log has
    if pip is not None:
        yield from url_passwords(
            [pip.index_url or "", *pip.extra_index_urls, *pip.find_links, *pip.constraints, pip.proxy or ""]
        )
    try:
        yield from (value for one in objects() for value in _secret_variables(one))
    except sqlite3.Error:
        return  # the store is damaged, and nothing of it gets into the bundle


def _secret_variables(value: Any) -> Iterator[str]:
    """Plain values of variables that are named like secrets: code may have printed them."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            if isinstance(one, str) and is_secret_name(str(name)) and len(one) > 7:
                yield one
            yield from _secret_variables(one)
    elif isinstance(value, list):
        for one in value:
            yield from _secret_variables(one)


def _members(where: Settings, facts: Facts, lines: Sequence[Line], objects: _Objects) -> Iterator[_Member]:
    """All but the README, as they are read: :func:`_redacted` follows."""
    table = "\n".join(f"{one.topic:12} {one.state:9} {one.found}\n{'':23}{one.next_step}".rstrip() for one in lines)
    yield _Member("doctor.txt", "what shipway doctor found", f"{table}\n")
    yield _Member("doctor.json", "the same as data", [one.to_json() for one in lines])
    yield _Member("versions.json", "Shipway, Python and installed packages", _versions(facts))
    about = "all objects with their status, values of variables left out"
    yield from _tried("objects.json", about, where.store, objects)
    about = f"the last {_ENTRIES} decisions, events and ledger lines"
    yield from _tried("journal.json", about, where.journal, lambda: _entries(where.journal))
    yield from _log(where.hub_log, "hub.log", "the end of the hub's log", _LOG_TAIL)
    yield from _log(where.gateway / "envoy.log", "gateway/envoy.log", "the end of Envoy's log", _LOG_TAIL)
    yield from _envoy(where)
    yield from _workloads(where)
    listing = "\n".join(islice(_listing(where), _MOST_LISTED))
    yield _Member("files.txt", "files of the home with sizes; deep folders as one line", f"{listing}\n")


def _tried(name: str, about: str, file: Path, read: Callable[[], Any]) -> Iterator[_Member]:
    """What is in a file of the home that may be missing or damaged."""
    if not file.exists():
        return
    try:
        yield _Member(name, about, read())
    except (sqlite3.Error, ValueError, OSError) as error:
        yield _Member(name, f"nothing: {file.name} cannot be read", {"error": f"{type(error).__name__}: {error}"})


def _entries(journal: Path) -> list[dict[str, Any]]:
    return [_entry(row) for row in databases.newest(journal, "entries", _ENTRIES)]


def _entry(row: dict[str, Any]) -> dict[str, Any]:
    """With its time and its numbers readable; a damaged one as it is."""
    try:
        at = datetime.fromtimestamp(row["at"] / 1_000_000, UTC).isoformat()
        return {**row, "at": at, "data": json.loads(row["data"])}
    except (ValueError, TypeError, KeyError, OverflowError):
        return row


def _versions(facts: Facts) -> dict[str, Any]:
    installed = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    return {
        "shipway": facts.shipway,
        "system": " ".join(os.uname()[index] for index in (0, 2, 3, 4)),  # not the machine's name
        "packages": dict(sorted(installed.items())),
    }


def _log(file: Path, name: str, about: str, size: int) -> Iterator[_Member]:
    """The end of a log, and of the file before it when it was rotated."""
    for suffix in (".1", ""):
        with suppress(OSError):
            yield _Member(f"{name}{suffix}", about, _tail(file.with_name(f"{file.name}{suffix}"), size))


def _tail(file: Path, size: int) -> str:
    """Whole lines only: half of a secret at the cut would not be found."""
    with file.open("rb") as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, length - size))
        data = stream.read(size)
    return (data if length <= size else data.partition(b"\n")[2]).decode(errors="replace")


def _envoy(where: Settings) -> Iterator[_Member]:
    admin = Admin(where.sockets / "envoy.sock")
    with suppress(ShipwayError, ValueError):  # it does not run
        dump = json.loads(asyncio.run(admin.ask("/config_dump")))
        yield _Member("gateway/config_dump.json", "the configuration that Envoy shows", dump)
        clusters = asyncio.run(admin.ask("/clusters")).decode(errors="replace")
        yield _Member("gateway/clusters.txt", "Envoy's view of the replicas", clusters)


def _workloads(where: Settings) -> Iterator[_Member]:
    """Not what is asked of them: that has the values of variables. How they are, and what they printed."""
    folders = [one for one in where.workloads.iterdir() if one.is_dir()] if where.workloads.is_dir() else []
    newest = sorted(folders, key=lambda one: one.stat().st_mtime, reverse=True)[:_MOST_WORKLOADS]
    for folder in sorted(newest):
        name = f"workloads/{folder.name}"
        status = folder / "status.json"
        yield from _tried(f"{name}/status.json", "what its supervisor says", status, partial(_read_json, status))
        yield from _log(folder / "supervisor.log", f"{name}/supervisor.log", "what its supervisor printed", _LOG_TAIL)
        for log in sorted((folder / "logs").glob("replica-*.log")):
            yield from _log(log, f"{name}/{log.name}", "the end of what it printed", _REPLICA_TAIL)


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(errors="replace"))


def _listing(where: Settings) -> Iterator[str]:
    """Mode, size and name of what lies in the home; of secrets no size."""
    if not where.home.is_dir():
        return
    for parent, folders, files in os.walk(where.home):
        here = Path(parent)
        depth = len(here.relative_to(where.home).parts)
        folders.sort()
        if depth == _LISTED_DEPTH:
            folders.clear()
            sizes = [one.lstat().st_size for one in here.rglob("*") if not one.is_symlink() and one.is_file()]
            yield f"{'':10} {sum(sizes):12} {here.relative_to(where.home)}/ ({len(sizes)} files)"
            continue
        for name in sorted(files):
            file = here / name
            try:
                seen = file.lstat()
            except OSError:
                continue  # gone since
            size = "-" if file.is_relative_to(where.secrets) or file == where.token else seen.st_size
            yield f"{seen.st_mode & 0o7777:10o} {size:>12} {file.relative_to(where.home)}"


def _redacted(one: _Member, redactor: Redactor) -> _Member:
    if isinstance(one.content, str):
        content = redactor.text(one.content)
    else:
        content = json.dumps(redactor.document(one.content), indent=1, ensure_ascii=False, default=str)
    return _Member(redactor.text(one.name), one.about, content)


def _readme(members: Sequence[_Member]) -> str:
    width = max(len(one.name) for one in members)
    lines = [f"{one.name.ljust(width)}  {one.about}" for one in members]
    return f"""A bug report of Shipway, made by `shipway doctor --bundle`.

{chr(10).join(lines)}

Left out, and shown as {REDACTED}: every value of every stored secret and the API token (also where code printed them),
values of variables in `env`, passwords in URLs, Authorization headers, and what follows words such as password=.
What your code printed is in the logs: read them before you give this file to somebody else.
"""


def _packed(members: Sequence[_Member]) -> bytes:
    packed = io.BytesIO()
    # Without time and owner: the same report is the same file, and says no more of the machine than it must.
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as archive:
        for one in members:
            data = one.content.encode("utf-8", "replace")
            info = tarfile.TarInfo(f"shipway-doctor/{one.name}")
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()
