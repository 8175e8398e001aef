"""Where a server sends us, and whether we go there. Pure."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from shipway.oci.registry import errors

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5

_TEXT = re.compile(r"[!-~]+")  # what may stand in a request's first line
_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: who would see what is sent there. Raises ValueError."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme, 0)


def follow(method: str, url: str, location: str) -> str:
    """The URL that ``Location`` names, its query untouched. Raises RegistryBroken when it is none, or leaves TLS."""
    try:
        target = urljoin(url, location)
        scheme, host, _ = origin(target)
    except ValueError:
        scheme, host, target = "", "", ""
    if scheme not in _PORTS or not host or not _TEXT.fullmatch(location):
        raise errors.broken(method, url, "the registry's answer has no Location that could be followed")
    if scheme == "http" and urlsplit(url).scheme == "https":
        raise errors.broken(
            method, url, f"it leads from https to {errors.plain(target)}: that would go over the wire for all to read"
        )
    return target


def with_digest(url: str, digest: str) -> str:
    """An upload's URL with the digest that ends it; what the registry wrote into the query stays as it is."""
    return f"{url}{'&' if urlsplit(url).query else '?'}digest={digest}"
