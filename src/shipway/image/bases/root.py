"""A folder in which Debian's packages were extracted, as a layer: only what a service needs, the same every time.

No script of a package was run, so what those would have done, and Python needs, is done here: the merged /usr, the
certificates in one file, users, name lookup. Source: the postinst scripts of base-files, base-passwd, ca-certificates;
https://wiki.debian.org/UsrMerge.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MERGED = ("bin", "sbin", "lib", "lib64")
# Programs that are there for the scripts of other packages only, and their data.
TOOLS = ("debconf", "dpkg", "mawk", "openssl", "tar")
_LEFT_OUT = re.compile(
    "|".join(
        (
            r"dev/.*",
            r"boot(/.*)?",
            # What mmdebstrap copies of this machine, and what nobody reads who has no shell.
            r"etc/(hostname|resolv\.conf|hosts|fstab|rmt|issue[^/]*|profile\.d|skel|update-motd\.d)(/.*)?",
            r"etc/(alternatives|apt|cron[^/]*|debconf\.conf|dpkg|logrotate\.d)(/.*)?",
            r"usr/(bin|sbin)/(?!python3).*",
            r"usr/games",
            r"usr/lib/ssl/misc(/.*)?",
            r"usr/lib/(apt|dpkg|mime|systemd|tmpfiles\.d|sysusers\.d|binfmt\.d)(/.*)?",
            r"usr/libexec(/.*)?",
            r"usr/share/doc/(?:[^/]+/(?!copyright$).*)",
            r"usr/share/(applications|base-files|base-passwd|bash-completion|binfmts|bug|ca-certificates|debconf|dict|doc-base|dpkg|gdb"
            r"|gcc|info|keyrings|lintian|locale|man|menu|perl5|pixmaps|polkit-1|readline|tabset)(/.*)?",
            r"usr/src(/.*)?",
            r"var/(backups|cache|log|mail|spool|opt|local)/.*",
            r"var/lib/(apt|dpkg)(?!/status\.d)(/.*)?",
            rf"var/lib/dpkg/status\.d/({'|'.join(TOOLS)})",
        )
    )
)
_STICKY = ("tmp", "var/tmp")
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# Where a package leaves what its script would copy.
_COPIED = {
    "etc/passwd": "usr/share/base-passwd/passwd.master",
    "etc/group": "usr/share/base-passwd/group.master",
}
_NAMES = b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"


@dataclass(frozen=True, slots=True)
class Item:
    """One member: a folder, a link to ``target``, or a file."""

    content: Path | bytes | None = None  # None: a folder, or a link
    target: str = ""
    executable: bool = False


def write(root: Path, out: BinaryIO, python: str) -> None:
    """The layer's tar, sorted, owned by root, of 1970. ``python``: "3.11"."""
    items = dict(_items(root))
    items |= {name: Item(target=f"usr/{name}") for name in _MERGED if f"usr/{name}" in items}
    items |= {name: Item((root / source).read_bytes()) for name, source in _COPIED.items()}
    items |= {
        "etc/nsswitch.conf": Item(_NAMES),
        _CERTIFICATES: Item(_certificates(root)),
        "usr/lib/ssl/cert.pem": Item(target=f"/{_CERTIFICATES}"),  # what OpenSSL opens where nobody says another
        "usr/bin/python3": Item(target=f"python{python}"),
        "var/lock": Item(target="/run/lock"),
        "var/run": Item(target="/run"),
    }
    for name in [parent for one in items for parent in _parents(one)]:
        items.setdefault(name, Item())
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(items):
            _add(archive, name, items[name])


def _items(root: Path) -> Iterator[tuple[str, Item]]:
    for folder, folders, files in os.walk(root):
        at = os.path.relpath(folder, root)
        for one in (*folders, *files):
            path = Path(folder, one)
            was = posixpath.normpath(posixpath.join(at, one))
            name = _moved(was)
            if _LEFT_OUT.fullmatch(name):
                continue
            if path.is_symlink():
                yield name, Item(target=_target(was, name, str(path.readlink())))
            elif path.is_dir():
                yield name, Item()
            elif path.is_file():
                yield name, Item(path, executable=bool(path.stat().st_mode & 0o111))


def _moved(name: str) -> str:
    return f"usr/{name}" if name.partition("/")[0] in _MERGED else name


def _target(was: str, name: str, target: str) -> str:
    """Where a link leads when it and its target may have moved below /usr."""
    if was == name or target.startswith("/") or "/" not in target:
        return target
    return "/" + _moved(posixpath.normpath(posixpath.join(posixpath.dirname(was), target)).lstrip("./"))


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _certificates(root: Path) -> bytes:
    found = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    return b"".join(one.read_bytes().rstrip(b"\n") + b"\n" for one in found)


def _add(archive: tarfile.TarFile, name: str, item: Item) -> None:
    member = tarfile.TarInfo(name)
    if item.target:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, item.target, 0o777
    elif item.content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name in _STICKY else 0o755
    else:
        member.mode = 0o755 if item.executable else 0o644
    if isinstance(item.content, bytes):
        member.size = len(item.content)
        archive.addfile(member, io.BytesIO(item.content))
    elif item.content is not None:
        with item.content.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
    else:
        archive.addfile(member)
