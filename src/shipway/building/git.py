"""Which commit a folder stands at, read from ``.git`` without calling git: it is told in the record of a build.

Not in the image: a commit that changes a README would change the digest of an image that has no README in it.
Source: gitrepository-layout(5).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_LARGEST = 4 << 20  # characters; packed-refs of large repositories have some hundred thousand


def commit(folder: Path) -> Mapping[str, str]:
    """``{"revision": ..., "source": ...}`` of the repository that holds the folder; what cannot be read is left out."""
    for above in (folder.resolve(), *folder.resolve().parents):
        if (above / ".git").is_dir():
            found = {"revision": _revision(above / ".git"), "source": _source(above / ".git")}
            return {name: value for name, value in found.items() if value}
    return {}


def _revision(git: Path) -> str:
    head = _text(git / "HEAD").strip()
    if not head.startswith("ref: "):
        return head if _COMMIT.fullmatch(head) else ""
    name = head.removeprefix("ref: ")
    if ".." in name.split("/"):
        return ""
    loose = _text(git / name).strip()
    if _COMMIT.fullmatch(loose):
        return loose
    for line in _text(git / "packed-refs").splitlines():
        digest, _, named = line.partition(" ")
        if named == name and _COMMIT.fullmatch(digest):
            return digest
    return ""


def _source(git: Path) -> str:
    config = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        config.read_string(_text(git / "config"))
        url = config.get('remote "origin"', "url", fallback="")
    except configparser.Error:
        return ""
    parts = urlsplit(url) if url else None
    if parts is None or parts.scheme not in ("http", "https", "ssh", "git"):
        return ""  # a path of this machine, or git's own form for ssh
    return urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))  # a password may stand before the host


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST)
    except OSError:
        return ""
