"""What a base's own package manager has installed, as its database says. Only dpkg's is read.

Sources: Debian Policy, 5.1 ("Syntax of control files"); os-release(5); dpkg(1), "Package states". Images of distroless
keep a file for each package in ``status.d``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shipway.errors import Refused
from shipway.image.view import Stat, View
from shipway.oci.digest import CHUNK
from shipway.oci.tar import Readable

_STATUS = "var/lib/dpkg/status"
_STATUS_D = "var/lib/dpkg/status.d"
_SUMS = ".md5sums"  # beside each file there: of the package's files
_RELEASE = "etc/os-release"
_LARGEST = 32 << 20  # bytes; a desktop's status has some 3 MB


@dataclass(frozen=True, slots=True, order=True)
class SystemPackage:
    """One package; ``source`` is the source package's name where it is another."""

    name: str
    version: str
    architecture: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """The distribution (``debian``, ``12``), and its packages by name. Nothing is known of what has no dpkg."""

    distribution: str = ""
    release: str = ""
    packages: tuple[SystemPackage, ...] = ()


def read(view: View) -> System:
    """What is installed in an image. Each layer is read once at most.

    Raises Corrupt, and Refused for a database of over 32 MB.
    """
    release = view.find(_RELEASE)  # mostly a link
    files = [*_files(view, release)]
    if (size := sum(one.size for one in files)) > _LARGEST:
        raise Refused(f"the list of packages in the image has {size} bytes: at most {_LARGEST} are read")
    texts = {stat.path: _text(content) for stat, content in view.contents(one.path for one in files)}
    said = _release(texts.pop(release.path, "")) if release is not None else {}
    found = sorted({one for text in texts.values() for one in packages(text)})
    return System(said.get("ID", "debian" if found else ""), said.get("VERSION_ID", ""), tuple(found))


def packages(status: str) -> Iterator[SystemPackage]:
    """The installed packages of a ``status`` file. Paragraphs that cannot be understood are passed over."""
    for paragraph in status.split("\n\n"):
        fields = {
            name.lower(): value.strip()
            for name, colon, value in (line.partition(":") for line in paragraph.splitlines() if line[:1] not in " \t")
            if colon
        }
        # Distroless writes no state: what has a file there is installed.
        state = fields.get("status", "install ok installed").split()
        if state[-1:] == ["installed"] and fields.get("package") and fields.get("version"):
            source = fields.get("source", "").partition(" ")[0]  # "glibc (2.36-9)"
            name = fields["package"]
            yield SystemPackage(
                name, fields["version"], fields.get("architecture", ""), source if source != name else ""
            )


def _files(view: View, release: Stat | None) -> Iterator[Stat]:
    folder = view.find(_STATUS_D)
    below = view.walk(_STATUS_D) if folder is not None and folder.kind == "folder" else ()
    for one in (release, view.find(_STATUS), *below):
        if one is not None and one.kind == "file" and not one.path.endswith(_SUMS):
            yield one


def _text(content: Readable) -> str:
    return b"".join(iter(lambda: content.read(CHUNK), b"")).decode(errors="replace")


def _release(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if line[:1] not in "#")
    return {name: value.strip().strip("\"'") for name, equals, value in lines if equals}
