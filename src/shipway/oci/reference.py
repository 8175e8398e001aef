"""References: where an artifact is in a registry. Pure.

Source: OCI distribution-spec v1.1.1, "Pulling manifests" (the grammars of ``<name>`` and ``<reference>``), and for the
host Docker's reference grammar (distribution/reference): the first part is a host when it has a dot or a port, or is
``localhost``; without one it would be Docker Hub, which has to be written out here: ``docker.io/library/python``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from shipway.errors import UserError
from shipway.oci.digest import Digest

_HOST = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_LONGEST_NAME = 255  # host and repository, as the specification advises
_FORM = "HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]"


@dataclass(frozen=True, slots=True)
class Reference:
    """``ghcr.io/team/digits:3``: a registry's host, a repository in it, and a tag, a digest or both."""

    registry: str  # host, with the port where it is written
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference. Raises UserError that says which part is wrong and what is allowed."""
        named, at, digest = text.partition("@")
        path, tag = _split_tag(named)
        host, slash, repository = path.partition("/")
        if not slash and _is_host(host):
            raise _wrong(text, f"no repository follows the registry {host!r}")
        if not slash or not _is_host(host):
            raise _wrong(text, f"{host!r} is not a registry: it has a dot or a port, or is localhost")
        if not _HOST.fullmatch(host) or not _port_is_right(host):
            raise _wrong(text, f"{host!r} is not a host with a port")
        if len(path) > _LONGEST_NAME or not _NAME.fullmatch(repository):
            raise _wrong(
                text,
                f"{repository!r} is not a repository: lower-case letters, digits, '.', '_', '-' and '/' between them",
            )
        if tag is not None and not _TAG.fullmatch(tag):
            raise _wrong(text, f"{tag!r} is not a tag: letters, digits, '.', '_' and '-', at most 128")
        return cls(host, repository, tag, Digest(digest) if at else None)

    @property
    def name(self) -> str:
        """The tag or the digest, as a registry's paths have it: the digest when both are there."""
        return self.digest or self.tag or "latest"

    def tagged(self, tag: str) -> Self:
        """The same repository with that tag. Raises UserError."""
        if not _TAG.fullmatch(tag):
            raise _wrong(f"{self.registry}/{self.repository}:{tag}", f"{tag!r} is not a tag")
        return replace(self, tag=tag, digest=None)

    def pinned(self, digest: Digest) -> Self:
        """The same repository with that digest, and the tag for people to read."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def _split_tag(named: str) -> tuple[str, str | None]:
    path, colon, tag = named.rpartition(":")
    return (path, tag) if colon and "/" not in tag else (named, None)


def _is_host(text: str) -> bool:
    return "." in text or ":" in text or text == "localhost"


def _port_is_right(host: str) -> bool:
    _, colon, port = host.rpartition(":")
    return not colon or host.endswith("]") or 0 < int(port) < 65536


def _wrong(text: str, why: str) -> UserError:
    return UserError(f"{text!r} is not a reference to a registry: {why}", next_step=f"Write {_FORM}.")
