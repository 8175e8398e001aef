"""Who may list, load and unload models: the same for both protocols."""

from __future__ import annotations

import hmac
from typing import Any, Protocol

from shipway.runtime.server.refusals import Reason, Refused

_BEARER = "bearer "


class Headers(Protocol):
    """Of a request, or the metadata of a call; names in lower case."""

    def get(self, key: str, default: Any = None, /) -> Any: ...


def check_key(headers: Headers, key: str) -> None:
    """Raises Refused FORBIDDEN."""
    if not key:
        raise Refused(
            Reason.FORBIDDEN, "models cannot be listed, loaded or unloaded here: SHIPWAY_ADMIN_KEY is not set"
        )
    given = headers.get("x-shipway-admin-key")
    if given is None:
        authorization = headers.get("authorization", "")
        given = authorization[len(_BEARER) :] if authorization[: len(_BEARER)].lower() == _BEARER else ""
    if not hmac.compare_digest(given.encode(), key.encode()):
        raise Refused(
            Reason.FORBIDDEN, "this needs the admin key, as `Authorization: Bearer KEY` or `X-Shipway-Admin-Key: KEY`"
        )
