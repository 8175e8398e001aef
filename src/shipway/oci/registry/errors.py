"""A registry's "no", as one of our errors. Pure.

No error holds a URL's query (upload states and presigned signatures are secrets), a header, or more of a body than
its codes and messages. Source: OCI distribution-spec v1.1.1, "Error Codes".
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from shipway.errors import EnvironmentFault, RegistryBroken, RegistryRefused, RegistryUnreachable
from shipway.oci.registry import headers

LARGEST = 64 * 1024  # bytes of an error's body that are read

_MOST = 3  # errors of a body that are told


def plain(url: str) -> str:
    """A URL to show: without user, query and fragment."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "(a URL that is none)"


def diagnosis(body: bytes) -> str:
    """What the registry says of its "no": ``CODE: message``, several after each other; "" when it says nothing."""
    try:
        document = json.loads(body[:LARGEST])
    except (ValueError, RecursionError):
        return ""
    listed = document.get("errors") if isinstance(document, dict) else None
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return headers.printable("; ".join(filter(None, (_told(one) for one in found[:_MOST]))))


def refusal(method: str, url: str, status: int, body: bytes, *, host: str, scope: str = "") -> EnvironmentFault:
    """The error for an answer that is not what was hoped for. ``host`` is the registry, whoever answered for it;
    ``scope`` what the request needed rights for."""
    if status < 400:
        return broken(method, url, f"{status} is no answer to that")
    said = diagnosis(body)
    message = f"{method} {plain(url)}: {status}" + (f" {said}" if said else "")
    if (status >= 500 and status not in (501, 505)) or status in (408, 429):
        wait = "It asks for fewer requests: wait" if status == 429 else "The registry fails: wait, or ask who runs it"
        return RegistryUnreachable(message, next_step=f"{wait}, then try again; what was done stays done.")
    return RegistryRefused(message, next_step=_next_step(status, host, scope, said), status=status, diagnosis=said)


def unreachable(method: str, url: str, why: str) -> RegistryUnreachable:
    """No answer at all."""
    host = urlsplit(plain(url)).netloc
    return RegistryUnreachable(
        f"{method} {plain(url)}: {headers.printable(why)}",
        next_step=f"See whether {host} is the right name and answers: curl -i {plain(url).partition('/v2/')[0]}/v2/",
    )


def broken(method: str, url: str, why: str) -> RegistryBroken:
    """An answer that contradicts what was announced, or the specification."""
    return RegistryBroken(
        f"{method} {plain(url)}: {why}",
        next_step="Nothing of it was kept. Try again; when it stays so, tell who runs the registry, or a proxy",
    )


def _told(error: dict[str, Any]) -> str:
    parts = (error.get("code"), error.get("message"))
    return ": ".join(part for part in parts if isinstance(part, str) and part)


def _next_step(status: int, host: str, scope: str, said: str) -> str:
    needs = f" The rights that it needs: {scope}." if scope else ""
    if status == 401:
        return f"Log in: docker login {host} (or the program that your cloud has for it).{needs}"
    if status == 403:
        return f"The credentials for {host} do not allow it: ask for the right, or log in as somebody else.{needs}"
    if status == 404:
        return "See whether the repository, the tag and the digest are written right." + (
            " Some registries want a repository to be made first." if "NAME_UNKNOWN" in said else ""
        )
    if status == 405:
        return "This registry does not allow it (docker-registry: storage.delete.enabled); ask who runs it."
    if status == 413:
        return "It is too large for the registry, or for a proxy"
    return "Ask who runs the registry what it wants."
