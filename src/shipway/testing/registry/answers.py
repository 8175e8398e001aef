"""What the registry says to one request, before it is on the wire. Values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

CHUNK = 64 * 1024
"""Bytes that go to the socket at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, head and body; ``length`` is what Content-Length says (None: chunked, the end is not announced)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int | None = 0

    @classmethod
    def of(cls, status: int, data: bytes = b"", **headers: str) -> Self:
        """An answer with these bytes; ``Content_Type="..."`` is the header Content-Type."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, named, (data,) if data else (), len(data))

    @classmethod
    def json(cls, document: object, status: int = 200, **headers: str) -> Self:
        """An answer with a JSON document."""
        return cls.of(status, json.dumps(document).encode(), **{"Content_Type": "application/json"} | headers)

    def having(self, **headers: str) -> Self:
        """The same with more headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


STATUS = {
    "BLOB_UNKNOWN": 404,
    "BLOB_UPLOAD_INVALID": 400,
    "BLOB_UPLOAD_UNKNOWN": 404,
    "DIGEST_INVALID": 400,
    "MANIFEST_BLOB_UNKNOWN": 404,
    "MANIFEST_INVALID": 400,
    "MANIFEST_UNKNOWN": 404,
    "NAME_INVALID": 400,
    "NAME_UNKNOWN": 404,
    "SIZE_INVALID": 400,
    "UNAUTHORIZED": 401,
    "DENIED": 403,
    "UNSUPPORTED": 405,
    "TOOMANYREQUESTS": 429,
    "UNKNOWN": 500,
}
"""The error codes of the distribution-spec, and the HTTP status that goes with each here."""


def error(code: str, message: str, status: int | None = None, **headers: str) -> Answer:
    """The specification's error document. Source: distribution-spec v1.1.1, "Error Codes"."""
    document = {"errors": [{"code": code, "message": message, "detail": None}]}
    return Answer.json(document, STATUS[code] if status is None else status, **headers)
