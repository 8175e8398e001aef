"""What may be asked for: lines from which any machine makes the same image. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shipway.errors import Refused
from shipway.image.lock.resolution import Package
from shipway.packages.pip_configuration import redact
from shipway.packages.requirement import ALLOWED, parse_line

_HASH = re.compile(r"\s--hash[=\s]\s*(\S+)")
_EDITABLE = re.compile(r"(-e|--editable)\b")
_INDEX = re.compile(r"(-i|-f|--(extra-)?index-url|--find-links|--no-index|--trusted-host|-c|--constraint)\b")
_PLACE = re.compile(r"(\.{0,2}/|~|[A-Za-z]+(\+[a-z]+)?://|\S+\.(whl|tar\.gz|zip)(\s|$))")
_REPOSITORIES = ("git", "hg", "svn", "bzr")
_INDEX_STEP = "tell pip, which uv and Shipway follow: pip config set global.extra-index-url URL (or find-links FOLDER)"
_FILE_STEP = (
    "put the wheel at an index, or name its folder to pip (pip config set global.find-links FOLDER), and ask for it by "
    "name and version, like mine==1.2: it is locked by its hash then"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A requirement, and the hashes that its author allows: ``sha256:...``; none allow all."""

    requirement: Requirement
    hashes: frozenset[str] = frozenset()


def parse(line: str) -> Asked:
    """One line. Raises UserError for what cannot be read, Refused for what no other machine would understand."""
    text, shown = line.strip(), redact(line.strip())
    hashes = frozenset(_HASH.findall(text))
    text = _HASH.sub("", text)
    if _EDITABLE.match(text):
        raise Refused(
            f"requirement {shown!r} is an editable install: an image holds copies, and no folder of this machine",
            next_step="leave the line out: the code of the project's folder is in the image as it is. Of another "
            f"project, build a wheel; {_FILE_STEP}",
        )
    if _INDEX.match(text):
        raise Refused(f"requirement {shown!r} says where to look, not what to install", next_step=_INDEX_STEP)
    if " --" in text:
        raise Refused(
            f"requirement {shown!r} has an option that is not --hash: how a package is built is not locked",
            next_step=f"leave out what begins with --; {ALLOWED}",
        )
    if _PLACE.match(text):
        raise Refused(f"requirement {shown!r} is a place, not a name", next_step=_step(text))
    requirement = parse_line(text)
    if requirement.url:
        _judge(requirement.url, shown)
    return Asked(requirement, hashes)


def check_hashes(asked: Iterable[Asked], packages: Iterable[Package]) -> None:
    """Raises Refused when a file was chosen that the author of its line does not allow."""
    allowed = {canonicalize_name(one.requirement.name): one.hashes for one in asked if one.hashes}
    for package in packages:
        hashes = allowed.get(canonicalize_name(package.name))
        if hashes and f"sha256:{package.file.sha256}" not in hashes:
            raise Refused(
                f"{package.file.name} (sha256:{package.file.sha256}) is none of the {len(hashes)} files that the "
                f"requirement {package.name} allows by --hash",
                next_step="add its hash if you trust it, or take the hashes out: the lock holds one for every file",
            )


def _judge(url: str, shown: str) -> None:
    scheme = urlsplit(url).scheme.lower()
    if scheme.partition("+")[0] in _REPOSITORIES:
        raise Refused(
            f"requirement {shown!r} is a repository: nothing that can be locked by its hash",
            next_step=_FILE_STEP,
        )
    if scheme not in ("http", "https"):
        raise Refused(f"requirement {shown!r} is a file of this machine", next_step=_FILE_STEP)
    if "${" in url:
        raise Refused(
            f"requirement {shown!r} has a variable in its address: uv would put in its value, the lock too",
            next_step="write the address out; a user name and a password go into ~/.netrc, which uv reads",
        )
    if "@" in urlsplit(url).netloc:
        raise Refused(
            f"requirement {shown!r} has a user name or a password in its address: it would stand in the lock",
            next_step="write them into ~/.netrc, which uv reads, and the address without them",
        )


def _step(text: str) -> str:
    web = text.startswith(("http://", "https://"))
    return "write its name before it: NAME @ URL" if web else _FILE_STEP
